"""Discard records, `discards/<batch>/<episode_id>.json` in the store: which episodes people left out, when and why.

Stages, shards and releases leave out what they name. Unlike a takedown, a discard removes nothing and can be undone.
"""

import datetime
import json
from collections.abc import Iterable
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import DISCARDS
from podcast_assets.store.store import STORE_READERS, Store

FOLDER = "discards"

Record = dict[str, Any]
"""A row of DISCARDS."""


def write_discard(store: Store, record: Record) -> None:
    """Write a record atomically; an earlier one of the same episode is replaced."""
    plain = {name: record[name] for name in DISCARDS} | {"at": record["at"].isoformat()}
    text = json.dumps(plain, ensure_ascii=False, indent=1)
    store.write(_key(record["batch"], record["episode_id"]), f"{text}\n".encode())


def remove_discard(store: Store, batch: str, episode_id: str) -> None:
    """Remove the record of an episode, if there is one."""
    store.remove(_key(batch, episode_id))


def read_discards(store: Store) -> pl.DataFrame:
    """Read all records, columns DISCARDS, in order of batch and episode.

    Raises:
        BadInput: a record is invalid.
    """
    return _read_all(store, (entry.key for entry in store.list(FOLDER)))


def read_batch_discards(store: Store, batch: str) -> dict[str, str]:
    """Read which episodes of a batch are discarded: episode → reason shown to people.

    Raises:
        BadInput: a record is invalid.
    """
    found = _read_all(store, (f"{FOLDER}/{batch}/{name}" for name in store.names(f"{FOLDER}/{batch}")))
    return {row["episode_id"]: discard_reason(row) for row in found.iter_rows(named=True)}


def discard_reason(record: Record) -> str:
    """Reason shown to people for an episode that is discarded."""
    return f"discarded on {record['at']:%Y-%m-%d}: {record['reason']}"


def _key(batch: str, episode_id: str) -> str:
    return f"{FOLDER}/{batch}/{episode_id}.json"


def _read_all(store: Store, keys: Iterable[str]) -> pl.DataFrame:
    records = (key for key in keys if key.endswith(".json") and "/." not in key)
    read = run_in_threads(lambda key: _read_record(store, key), records, STORE_READERS, name="discards")
    return make_table([r for r in read if r is not None], DISCARDS).sort("batch", "episode_id")


def _read_record(store: Store, key: str) -> Record | None:
    """Read a record; None if it was removed meanwhile.

    Raises:
        BadInput: the record is invalid, and must not be ignored.
    """
    try:
        found = json.loads(store.read(key))
        record = {name: found[name] for name in DISCARDS}
        return record | {"at": datetime.datetime.fromisoformat(record["at"])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{store.path(key)} is not a valid discard record: repair it, because it must not be ignored"
        ) from error
