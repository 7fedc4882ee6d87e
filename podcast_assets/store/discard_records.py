"""Discard records, `discards/<batch>/<episode_id>.json` in the store: which episodes people left out, when and why.

Stages, shards and releases leave out what they name. Unlike a takedown, a discard removes nothing and can be undone.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from podcast_assets.store.episode_records import EpisodeRecords
from podcast_assets.store.schema_beside import DISCARDS
from podcast_assets.store.store import Store

DISCARD_RECORDS = EpisodeRecords("discards", DISCARDS, "discard")


def read_discards(store: Store) -> pl.DataFrame:
    """Read all records, columns DISCARDS, in order of batch and episode.

    Raises:
        BadInput: a record is invalid.
    """
    return DISCARD_RECORDS.read_all(store)


def read_batch_discards(store: Store, batch: str) -> dict[str, str]:
    """Read which episodes of a batch are discarded: episode → reason shown to people.

    Raises:
        BadInput: a record is invalid.
    """
    return {episode: discard_reason(record) for episode, record in DISCARD_RECORDS.read_batch(store, batch).items()}


def discard_reason(record: Mapping[str, Any]) -> str:
    """Reason shown to people for an episode that is discarded."""
    return f"discarded on {record['at']:%Y-%m-%d}: {record['reason']}"
