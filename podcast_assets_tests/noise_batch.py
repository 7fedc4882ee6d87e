"""A scored batch of short episodes of noise, two segments each, without computation."""

import hashlib
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.audio.encode import encode
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, Columns, empty_table, make_table
from podcast_assets.store.store import Store
from podcast_assets_tests import scored

RATE = 24_000
EPISODES = ("one", "two", "three")


def commit_noise(store: Store, batch: str) -> None:
    """Commit the batch up to its scores, with original audio and without working audio."""
    audio, segments = [], []
    for number, name in enumerate(EPISODES):
        data = encode(np.random.default_rng(number).normal(0, 0.1, 3 * RATE).astype(np.float32), RATE, "flac")
        sha256 = hashlib.sha256(data).hexdigest()
        store.write(f"audio/original/{name}", data)
        audio.append(
            {"episode_id": name, "source": f"{name}.flac", "status": "done", "sha256": sha256, "duration": 3.0,
             "original": f"audio/original/{name}", "container": "flac", "codec": "flac", "sample_rate": RATE,
             "channels": 1, "audio_streams": 1, "has_video": False}
        )  # fmt: skip
        segments += [
            {"episode_id": name, "segment_id": f"{name}-{i}", "segment_index": i, "start": float(i), "end": i + 1.0,
             "duration": 1.0}
            for i in range(2)
        ]  # fmt: skip
    done = _full(PROVENANCE, [{"episode_id": name, "fingerprint": "f" * 32} for name in EPISODES])
    for asset, rows in {"raw_audio": _full(RAW_AUDIO, audio), **scored.tables(*segments)}.items():
        commit(store, asset, batch, rows, done, empty_table(FAILURES))


def _full(columns: Columns, rows: list[dict[str, Any]]) -> pl.DataFrame:
    return make_table([dict.fromkeys(columns) | row for row in rows], columns)
