"""Scored batches without computation: three tables that belong together."""

from typing import Any

import polars as pl

from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, empty_table, make_table
from podcast_assets.store.store import Store

GOOD: dict[str, Any] = {
    "episode_id": "e",
    "start": 0.0,
    "end": 10.0,
    "duration": 10.0,
    "speaker": "A",
    "overlap": 0.0,
    "text": "ask not what your country can do for you, ask what you can do for your country",
    "language": "en",
    "language_probability": 0.95,
    "text_language": "en",
    "flags": [],
    "engine": "made up",
    "degraded": False,
    "dnsmos_sig": 3.5,
    "dnsmos_bak": 4.0,
    "dnsmos_ovrl": 3.2,
    "dnsmos_p808": 3.6,
    "snr_db": 30.0,
    "clipping_share": 0.0,
    "bandwidth_hz": 7800.0,
    "source_bandwidth_hz": 15000.0,
    "loudness_lufs": -20.0,
    "keep": True,
    "reject_reasons": [],
    "policy": "all-v1",
}


def tables(*changes: dict[str, Any]) -> dict[str, pl.DataFrame]:
    """Tables by asset: one good segment for each of `changes`, with the changed columns."""
    whole = [{**GOOD, "segment_id": f"s{n}", "segment_index": n, **change} for n, change in enumerate(changes)]
    return {
        asset: make_table([{c: row.get(c) for c in ASSETS[asset]} for row in whole], ASSETS[asset])
        for asset in ("diarized_segments", "transcripts", "quality_scores")
    }


def commit_scored(store: Store, batch: str, *changes: dict[str, Any]) -> None:
    """Commit the `tables` of a batch."""
    for asset, rows in tables(*changes).items():
        commit(store, asset, batch, rows, empty_table(PROVENANCE), empty_table(FAILURES))
