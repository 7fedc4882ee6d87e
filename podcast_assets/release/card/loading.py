"""Loading examples of a card; each snippet runs as shown, in order."""

from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.header import config_name, sorted_unique, splits_of
from podcast_assets.release.published import SEGMENTS
from podcast_assets.release.splits import podcasts_in_several_splits
from podcast_assets.transcripts.pages import escape_markdown

_NAMED = 20
"""Maximum number of podcasts named in a sentence."""

_DATASETS = """\
With [datasets](https://huggingface.co/docs/datasets) (requires torchcodec to decode audio):

```python
from datasets import load_dataset

segments = load_dataset({dataset}, "{config}", split="{split}", streaming=True)
segment = next(iter(segments))
print(segment["json"]["speaker"], segment["json"]["text"], segment["{codec}"].get_all_samples().data.shape)
```

Without torchcodec, as encoded audio:

```python
from datasets import Value, load_dataset, load_dataset_builder

features = load_dataset_builder({dataset}, "{config}").info.features
features["{codec}"] = Value("binary")
segments = load_dataset({dataset}, "{config}", split="{split}", features=features)
```
"""

_REMOTE = """\
The other libraries read local files. This downloads those of one language and split, with their tables:

```python
from huggingface_hub import snapshot_download

patterns = ["{folder}/*", "metadata/{language}/*", "episodes/*", "shards.jsonl"]
folder = snapshot_download("{place}", repo_type="dataset", allow_patterns=patterns)
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
    metadata, audio = json.loads(sample["json"]), sample["{codec}"]
```

With [Lhotse](https://github.com/lhotse-speech/lhotse) (`lhotse.py` of podcast-assets depends on Lhotse only and may be copied):

```python
from podcast_assets.release.readers.lhotse import lazy_cuts

cuts = lazy_cuts(shards)
for cut in cuts:
    text, speaker = cut.supervisions[0].text, cut.supervisions[0].speaker
```

With the tarred reader of [NeMo](https://github.com/NVIDIA/NeMo), which needs a manifest per shard, made from the metadata. It skips
samples without a row in the manifest:

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
  skip_missing_manifest_entries: true  # the tars contain a JSON beside each audio file
  manifest_filepath: manifests/manifest__OP_{first}..{last}_CL_.json
  tarred_audio_filepaths: FOLDER/{folder}/audio__OP_{first}..{last}_CL_.tar
```
{gaps}
With [polars](https://pola.rs) or [DuckDB](https://duckdb.org), to filter by any column before downloading audio; the tables contain
the shard and offset of each sample:

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
One sample, without reading its whole shard:

```python
from huggingface_hub import HfFileSystem

with HfFileSystem().open(f"datasets/{place}/{{row['shard']}}", block_size=2**18) as shard:
    shard.seek(row["audio_offset"])
    audio = shard.read(row["audio_size"])
```
"""

_RANGE_LOCAL = """\
One sample, without reading its whole shard:

```python
with open(f"{{folder}}/{{row['shard']}}", "rb") as shard:
    shard.seek(row["audio_offset"])
    audio = shard.read(row["audio_size"])
```
"""

CAVEATS = """\
- **Check what you downloaded**: `podcast-assets dataset verify {place}` compares every shard with `shards.jsonl` and the tables.
  With a truncated tar, webdataset and streaming `datasets` return fewer samples without an error; NeMo's reader skips it.
- **Scores are not in the tars**: what later releases may change (scores, `keep`, hashes) is in `metadata/`; join on `id` =
  `segment_id`.
- **Declared features**: do not remove them. If `datasets` has to infer features from the first samples, it drops keys, reads
  6.0 as an integer, or fails on nulls.
- **Opus is decoded at 48 kHz** whatever its original rate, which is `sample_rate`. `source_bandwidth_hz` is the bandwidth of the
  recording, which may be lower than its sample rate allows.
- **Speakers** are labels within one episode: `SPEAKER_00` in two episodes is not the same person.
- **Splits** are by podcast: by its guid, or its title if that is unknown, or else by episode. {splits}
- **Shards differ in size**, and numbers may be missing after takedowns: list the files instead of counting.
  If all processes need the same number of samples, split rows of `metadata/` instead of shards.
- **Times** of words are in seconds from the beginning of the episode, like `start` and `end`; null if a word could not be
  aligned.
- **Later releases** may remove samples, because rights change. Delete what the newest `shards.jsonl` does not list.
"""


def loading_examples(facts: DatasetFacts) -> str:
    """Loading examples for the language with the most samples; empty without segments."""
    own = [s for s in facts.shards if s.grain == SEGMENTS]
    if not own:
        return ""
    language = max(
        sorted_unique(s.language for s in own), key=lambda x: (sum(s.samples for s in own if s.language == x), x)
    )
    split = splits_of([s for s in own if s.language == language])[0]
    numbers = sorted(
        s.path.rpartition("_")[2].removesuffix(".tar") for s in own if (s.language, s.split) == (language, split)
    )
    consecutive = len(numbers) == int(numbers[-1]) - int(numbers[0]) + 1
    values = {
        "place": facts.repo,
        "dataset": f'"{facts.repo}"' if facts.repo else "folder",
        "config": config_name(SEGMENTS, language),
        "language": language,
        "split": split,
        "folder": f"data/{language}/{split}",
        "codec": facts.codec,
        "first": numbers[0],
        "last": numbers[-1],
        "gaps": ""
        if consecutive
        else "\nNumbers are missing between these: name the files one by one, in two lists.\n",
    }
    hub = (_DATASETS, _REMOTE, _FILES, _RANGE_REMOTE)
    parts = hub if facts.repo else (_LOCAL, _DATASETS, _FILES, _RANGE_LOCAL)
    return "\n".join(part.format(**values) for part in parts)


def loading_caveats(facts: DatasetFacts) -> str:
    """Caveats for readers of the dataset."""
    return CAVEATS.format(place=facts.repo or "FOLDER", splits=_split_caveat(facts))


def _split_caveat(facts: DatasetFacts) -> str:
    found = podcasts_in_several_splits(facts.episodes)
    if not found:
        return "No known podcast is in several splits."
    named = ", ".join(escape_markdown(name) for name in found[:_NAMED]) + (
        f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    )
    return (
        f"Some podcasts are in several splits, because not every batch knows their guid: {named}. If that matters, exclude them "
        "from one split by `podcast` in `episodes/`."
    )
