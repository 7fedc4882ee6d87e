"""Loading examples of a card; each snippet runs as shown, in order."""

from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.header import config_name, splits_of, unique_in_order
from podcast_assets.release.published import SEGMENTS
from podcast_assets.release.splits import podcasts_in_several_splits
from podcast_assets.transcripts.pages import escape_markdown

_NAMED = 20
"""Podcasts that a sentence lists."""

_DATASETS = """\
With [datasets](https://huggingface.co/docs/datasets) (audio is decoded by torchcodec, which must be installed):

```python
from datasets import load_dataset

segments = load_dataset({dataset}, "{config}", split="{split}", streaming=True)
segment = next(iter(segments))
print(segment["json"]["speaker"], segment["json"]["text"], segment["{codec}"].get_all_samples().data.shape)
```

Without torchcodec, the audio as the bytes of its file:

```python
from datasets import Value, load_dataset, load_dataset_builder

features = load_dataset_builder({dataset}, "{config}").info.features
features["{codec}"] = Value("binary")
segments = load_dataset({dataset}, "{config}", split="{split}", features=features)
```
"""

_REMOTE = """\
The other libraries read files. This brings those of one language and split, with its tables, to this machine:

```python
from huggingface_hub import snapshot_download

wanted = ["{folder}/*", "metadata/{language}/*", "episodes/*", "shards.jsonl"]
folder = snapshot_download("{place}", repo_type="dataset", allow_patterns=wanted)
```
"""

_LOCAL = """\
From the folder of this file:

```python
from pathlib import Path

folder = str(Path.cwd())
```
"""

_FILES = """\
With [webdataset](https://github.com/webdataset/webdataset):

```python
import glob
import json

import webdataset

shards = sorted(glob.glob(f"{{folder}}/{folder}/*.tar"))
for sample in webdataset.WebDataset(shards, shardshuffle=False):
    about, audio = json.loads(sample["json"]), sample["{codec}"]
```

With [Lhotse](https://github.com/lhotse-speech/lhotse) (`lhotse.py` of podcast-assets depends on Lhotse alone, and may be copied):

```python
from podcast_assets.release.readers.lhotse import lazy_cuts

cuts = lazy_cuts(shards)
for cut in cuts:
    text, speaker = cut.supervisions[0].text, cut.supervisions[0].speaker
```

With [NeMo](https://github.com/NVIDIA/NeMo)'s tarred reader, which wants a manifest per shard, made of the metadata. Rows that are
left out here are passed over there:

```python
import json
from pathlib import Path

import polars as pl

rows = pl.read_parquet(f"{{folder}}/metadata/{language}/*.parquet").filter(pl.col("split") == "{split}")
manifests = Path("manifests")
manifests.mkdir(exist_ok=True)
for (shard,), samples in rows.partition_by("shard", as_dict=True).items():
    number = Path(shard).stem.removeprefix("audio_")
    with (manifests / f"manifest_{{number}}.json").open("w") as manifest:
        for row in samples.iter_rows(named=True):
            line = {{"audio_filepath": f"{{row['segment_id']}}.{codec}", "duration": row["duration"], "text": row["text"]}}
            line |= {{"lang": row["language"], "shard_id": int(number)}}
            print(json.dumps(line, ensure_ascii=False), file=manifest)
```

```yaml
train_ds:
  use_lhotse: true
  skip_missing_manifest_entries: true  # the tars hold a JSON beside each audio
  manifest_filepath: manifests/manifest__OP_{first}..{last}_CL_.json
  tarred_audio_filepaths: FOLDER/{folder}/audio__OP_{first}..{last}_CL_.tar
```
{gaps}
With [polars](https://pola.rs) or [DuckDB](https://duckdb.org), to choose by any column before a byte of audio is read; the tables
say where in which shard each sample lies:

```python
import polars as pl

rows = pl.scan_parquet(f"{{folder}}/metadata/*/*.parquet").filter(pl.col("duration").is_between(1, 20)).collect()
row = rows.row(0, named=True)
```

```python
import duckdb

hours = duckdb.sql(
    f"SELECT language, split, keep, sum(duration) / 3600 AS hours FROM '{{folder}}/metadata/*/*.parquet' GROUP BY ALL ORDER BY ALL"
)
```
"""

_RANGE_REMOTE = """\
One sample, without its shard:

```python
from huggingface_hub import HfFileSystem

with HfFileSystem().open(f"datasets/{place}/{{row['shard']}}", block_size=2**18) as shard:
    shard.seek(row["audio_offset"])
    audio = shard.read(row["audio_size"])
```
"""

_RANGE_LOCAL = """\
One sample, without its shard:

```python
with open(f"{{folder}}/{{row['shard']}}", "rb") as shard:
    shard.seek(row["audio_offset"])
    audio = shard.read(row["audio_size"])
```
"""

TRAPS = """\
- **Check what you downloaded**: `podcast-assets dataset verify {place}` compares every shard with `shards.jsonl` and the tables.
  A tar that is cut off gives fewer samples and no error in webdataset and in a stream of `datasets`; NeMo's reader passes over it.
- **One row per JSON**: what may be judged anew (scores, `keep`, hashes) is in `metadata/`, not in the tars; join by `id` =
  `segment_id`.
- **Declared features**: leave them as they are. Where `datasets` has to guess them from the first samples, it drops keys, makes
  6.0 an integer, or fails at a null.
- **Opus is decoded at 48 kHz** whatever rate went in: `sample_rate` says what is in it. `source_bandwidth_hz` is what the
  recording really holds, which may be less than the rate promises.
- **Speakers** are labels within one episode: `SPEAKER_00` of two episodes are two people.
- **Splits** are by podcast: by its guid, by its title where that is not known, else by episode. {splits}
- **Shards are of different sizes**, and numbers may be missing where something was taken down: list the files, do not count.
  Where each process needs as many samples, split by rows of `metadata/` and not by shards.
- **Times** of words are seconds from the beginning of the episode, as `start` and `end` are; null where a word could not be
  placed.
- **Later releases** may take samples out: rights change. Delete what the newest `shards.jsonl` does not list.
"""


def loading_examples(about: DatasetFacts) -> str:
    """Loading snippets for the language and split with the most samples."""
    own = [s for s in about.shards if s.grain == SEGMENTS]
    if not own:
        return ""
    language = max(
        unique_in_order(s.language for s in own), key=lambda x: (sum(s.samples for s in own if s.language == x), x)
    )
    split = splits_of([s for s in own if s.language == language])[0]
    numbers = sorted(
        s.path.rpartition("_")[2].removesuffix(".tar") for s in own if (s.language, s.split) == (language, split)
    )
    whole = len(numbers) == int(numbers[-1]) - int(numbers[0]) + 1
    words = {
        "place": about.repo,
        "dataset": f'"{about.repo}"' if about.repo else "folder",
        "config": config_name(SEGMENTS, language),
        "language": language,
        "split": split,
        "folder": f"data/{language}/{split}",
        "codec": about.codec,
        "first": numbers[0],
        "last": numbers[-1],
        "gaps": "" if whole else "\nNumbers are missing between these: name the files one by one, in two lists.\n",
    }
    hub = (_DATASETS, _REMOTE, _FILES, _RANGE_REMOTE)
    parts = hub if about.repo else (_LOCAL, _DATASETS, _FILES, _RANGE_LOCAL)
    return "\n".join(part.format(**words) for part in parts)


def loading_caveats(about: DatasetFacts) -> str:
    """Caveats for readers of the dataset."""
    return TRAPS.format(place=about.repo or "FOLDER", splits=_split_caveat(about))


def _split_caveat(about: DatasetFacts) -> str:
    found = podcasts_in_several_splits(about.episodes)
    if not found:
        return "No show that is known is on both sides."
    named = ", ".join(escape_markdown(name) for name in found[:_NAMED]) + (
        f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    )
    return (
        f"Of these some are on both sides, because not every batch knows their guid: {named}. Leave them out of one by `podcast` "
        "in `episodes/` where that matters."
    )
