"""A store with small sealed batches, made without audio: tars, tables and rights as the pipeline leaves them."""

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.shards.ustar import END, TAR_BLOCK
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, HF_SHARDS, PROVENANCE, RAW_AUDIO, Columns, empty_table, make_table
from podcast_assets.store.store import Store, table_key
from podcast_assets.store.takedown_records import new_record, record_id, write_record
from podcast_assets_tests.shards.in_memory import member_bytes

LICENSE = "CC-BY-4.0"


def seal(
    store: Store,
    batch: str,
    episodes: Sequence[str] = ("one", "two"),
    *,
    segments: int = 3,
    audio_bytes: int = 4_000,
    version: str = "v1",
    language: str = "en",
    licenses: Mapping[str, str | None] | None = None,
    salt: str = "",
    suffix: str = "flac",
) -> pl.DataFrame:
    """Seal a batch of a few segments per episode, and commit its tables; gives that of `hf_shards`.

    Args:
        store: where to.
        batch: the batch; episodes are called `<batch>-<name>`.
        episodes: their names.
        segments: per episode.
        audio_bytes: of each.
        version: folder of the sealed shards.
        language: of all.
        licenses: of episodes, by name, where it is not LICENSE.
        salt: other bytes for another one.
        suffix: of the audio members.
    """
    path = f"data/{language}/train/audio_000000.tar"
    rows, tar = [], bytearray()
    for name in episodes:
        for index in range(segments):
            key = f"{batch}-{name}-{index:09d}-{index + 1:09d}"
            note = json.dumps({"id": key, "text": "hello"}).encode()
            # not to be compressed: sizes on the way are what is measured
            audio = np.random.default_rng(list(f"{key}{salt}".encode())).bytes(audio_bytes)
            json_offset = len(tar) + TAR_BLOCK
            tar += member_bytes(f"{key}.json", note)
            offset = len(tar) + TAR_BLOCK
            tar += member_bytes(f"{key}.{suffix}", audio)
            rows.append(
                {
                    "segment_id": key,
                    "episode_id": f"{batch}-{name}",
                    "segment_index": index,
                    "podcast_id": batch,
                    "split": "train",
                    "shard": f"{version}/{path}",
                    "json_offset": json_offset,
                    "json_size": len(note),
                    "audio_offset": offset,
                    "audio_size": len(audio),
                    "audio_sha256": hashlib.sha256(audio).hexdigest(),
                    "json_sha256": hashlib.sha256(note).hexdigest(),
                    "sample_rate": 24_000,
                    "channels": 1,
                    "start": float(index),
                    "end": float(index + 1),
                    "duration": 1.0,
                    "speaker": "A",
                    "text": "hello",
                    "language": language,
                    "license": LICENSE,
                    "keep": index != 1,
                    "reject_reasons": [] if index != 1 else ["too short"],
                    "policy": "asr 1",
                    "degraded": False,
                }
            )
    data = bytes(tar) + END
    store.write(f"sealed/{batch}/{version}/{path}", data)
    digest = hashlib.sha256(data).hexdigest()
    shards = _table(HF_SHARDS, [row | {"shard_sha256": digest} for row in rows])
    audio_rows = [_episode(batch, name, (licenses or {}).get(name, LICENSE), segments) for name in episodes]
    none, no_failures = empty_table(PROVENANCE), empty_table(FAILURES)
    commit(store, "raw_audio", batch, _table(RAW_AUDIO, audio_rows), none, no_failures)
    made = [{"episode_id": f"{batch}-{n}", "made_with": json.dumps({"version": "1"})} for n in episodes]
    commit(store, "hf_shards", batch, shards, _table(PROVENANCE, made), no_failures)
    return shards


def change(store: Store, asset: str, batch: str, rows: pl.Expr, **values: object) -> None:
    """Give some rows of a committed table other values."""
    path = Path(str(store.path(table_key(asset, batch))))
    table = pl.read_parquet(path)
    new = {k: pl.when(rows).then(pl.lit(v, table.schema[k])).otherwise(pl.col(k)) for k, v in values.items()}
    table.with_columns(**new).write_parquet(path)


def take_down(store: Store, batch: str, *names: str) -> None:
    """Write down that episodes of a batch were taken down, as the command does before anything else."""
    ids = [f"{batch}-{name}" for name in names]
    now = datetime.datetime.now(datetime.UTC)
    record = new_record(record_id("episode", ids), "episode", ", ".join(ids), "asked by its host", None, now)
    write_record(store, record | {"episode_ids": ids, "episodes": [f"{batch}/{e}" for e in ids]})


def _episode(batch: str, name: str, license: str | None, segments: int) -> dict[str, Any]:  # noqa: A002 - the column's name
    return {
        "episode_id": f"{batch}-{name}",
        "source": f"{name}.mp3",
        "status": "done",
        "title": f"Episode {name}",
        "podcast": f"Show {batch}",
        "podcast_id": batch,
        "license": license,
        "sha256": hashlib.sha256(f"{batch}-{name}".encode()).hexdigest(),
        "duration": float(segments),
        "metadata": json.dumps({"url": f"https://user:secret@example.org/{name}.mp3"}),
    }


def _table(columns: Columns, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return make_table([dict.fromkeys(columns) | row for row in rows], columns)
