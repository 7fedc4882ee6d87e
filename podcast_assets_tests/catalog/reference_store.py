"""The sample batch as if its reference transcripts had been recognized: real sentences, and no model runs."""

import hashlib
import json

import polars as pl

from podcast_assets.demo import BATCH, BATCH_NAME, REFERENCES, load_reference
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, TABLES, empty_table, make_table
from podcast_assets.store.store import Store


def commit_references(store: Store) -> None:
    """Commit `raw_audio`, `diarized_segments` and `transcripts` of the sample batch; a turn is a segment."""
    about = {row["meta_id"]: row for row in pl.read_parquet(BATCH / "metadata.parquet").iter_rows(named=True)}
    episodes, segments, transcripts = [], [], []
    for path in sorted(REFERENCES.glob("*.json")):
        name, facts = path.stem, about[path.stem]
        metadata = {key: str(value) for key, value in facts.items() if value is not None}
        episodes.append(
            {
                "episode_id": name, "source": f"{name}.mp3", "status": "done", "title": facts["title"], "podcast": facts["podcast"],
                "podcast_id": facts["podcast_guid"], "language": facts["language"],
                "sha256": hashlib.sha256(name.encode()).hexdigest(),
                "duration": json.loads(path.read_text())["duration"], "metadata": json.dumps(metadata), "warnings": [],
            }
        )  # fmt: skip
        for index, turn in enumerate(load_reference(name)):
            start, end = turn["start"], turn["end"]
            key = {
                "segment_id": f"{name}-{round(1000 * start):09}-{round(1000 * end):09}", "episode_id": name, "segment_index": index,
                "engine": "reference", "degraded": False, "flags": [],
            }  # fmt: skip
            segments.append(key | {"start": start, "end": end, "duration": end - start, "speaker": turn["speaker"]})
            words = [{"word": w, "start": a, "end": b, "probability": None} for w, a, b in turn["words"]]
            transcripts.append(key | {"text": turn["text"], "language": facts["language"], "words": words})
    for asset, rows in (("raw_audio", episodes), ("diarized_segments", segments), ("transcripts", transcripts)):
        filled = [dict.fromkeys(TABLES[asset]) | row for row in rows]
        commit(
            store, asset, BATCH_NAME, make_table(filled, TABLES[asset]), empty_table(PROVENANCE), empty_table(FAILURES)
        )
