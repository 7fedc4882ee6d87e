"""Records of single episodes, `<folder>/<batch>/<episode_id>.json` in the store: what people decided about them."""

import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.store.schema import Columns, make_table
from podcast_assets.store.store import STORE_READERS, Store

Record = dict[str, Any]
"""A row of a table of records. Its `at` says when it was made."""


@dataclass(frozen=True)
class EpisodeRecords:
    """Records of one kind, at most one per episode."""

    folder: str
    columns: Columns
    name: str
    """What a record is called in messages."""

    def write(self, store: Store, record: Record) -> None:
        """Write a record atomically; an earlier one of the same episode is replaced."""
        plain = {name: record[name] for name in self.columns} | {"at": record["at"].isoformat()}
        text = json.dumps(plain, ensure_ascii=False, indent=1)
        store.write(self._key(record["batch"], record["episode_id"]), f"{text}\n".encode())

    def remove(self, store: Store, batch: str, episode_id: str) -> None:
        """Remove the record of an episode, if there is one."""
        store.remove(self._key(batch, episode_id))

    def read_all(self, store: Store) -> pl.DataFrame:
        """Read all records in order of batch and episode.

        Raises:
            BadInput: a record is invalid.
        """
        return self._read(store, (entry.key for entry in store.list(self.folder)))

    def read_batch(self, store: Store, batch: str) -> dict[str, Record]:
        """Read the records of a batch: episode → record.

        Raises:
            BadInput: a record is invalid.
        """
        found = self._read(store, (f"{self.folder}/{batch}/{name}" for name in store.names(f"{self.folder}/{batch}")))
        return {row["episode_id"]: row for row in found.iter_rows(named=True)}

    def _key(self, batch: str, episode_id: str) -> str:
        return f"{self.folder}/{batch}/{episode_id}.json"

    def _read(self, store: Store, keys: Iterable[str]) -> pl.DataFrame:
        records = (key for key in keys if key.endswith(".json") and "/." not in key)
        read = run_in_threads(lambda key: self._read_record(store, key), records, STORE_READERS, name=self.folder)
        return make_table([r for r in read if r is not None], self.columns).sort("batch", "episode_id")

    def _read_record(self, store: Store, key: str) -> Record | None:
        """Read a record; None if it was removed meanwhile.

        Raises:
            BadInput: the record is invalid, and must not be ignored.
        """
        try:
            found = json.loads(store.read(key))
            record = {name: found[name] for name in self.columns}
            return record | {"at": datetime.datetime.fromisoformat(record["at"])}
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{store.path(key)} is not a valid {self.name} record: repair it, because it must not be ignored"
            ) from error
