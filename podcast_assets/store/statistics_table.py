"""The table of statistics: a few rows of counts for each batch, all batches in one file.

It is a cache: what is missing or cannot be read is counted again from the tables of the batches.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import STATISTICS
from podcast_assets.store.store import DamagedTable, Store

KEY = "statistics/batches.parquet"
_NOTE, _FORMAT = "podcast_assets.statistics", 2
"""Name of the note, and the version of the rows' meaning: rows of another version are counted again."""


@dataclass(frozen=True)
class StatisticsTable:
    """Rows of the table, with what was listed when they were counted."""

    rows: pl.DataFrame = field(default_factory=lambda: empty_table(STATISTICS))
    """Rows with the columns STATISTICS."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Folder of tables → its time of change in ns; empty where the store has no folders."""

    @property
    def versions(self) -> dict[str, str]:
        """Batch → version of its tables when they were counted."""
        return dict(self.rows.filter(kind="batch").select("batch", "version").iter_rows())


def read_statistics(store: Store) -> StatisticsTable:
    """Read the table; it is empty if there is none, or none that this version can read."""
    try:
        found = store.read_noted_table(KEY, STATISTICS)
    except DamagedTable:
        found = None
    if found is None:
        return StatisticsTable()
    rows, notes = found
    note = json.loads(notes.get(_NOTE, "{}"))
    return StatisticsTable(rows, note.get("folders", {})) if note.get("format") == _FORMAT else StatisticsTable()


def write_statistics(store: Store, table: StatisticsTable) -> None:
    """Write the table.

    Raises:
        StoreTrouble: the store is full, read-only or cannot be reached.
    """
    note = {"format": _FORMAT, "folders": dict(table.folders)}
    store.write_table(KEY, table.rows, {_NOTE: json.dumps(note)})


def forget_batches(store: Store, batches: Collection[str]) -> None:
    """Remove the rows of batches, so that no name of what was taken down stays until they are counted again."""
    if not store.exists(KEY):
        return
    table = read_statistics(store)
    rows = table.rows.filter(~pl.col("batch").is_in(list(batches)))
    if table.rows.is_empty():
        store.remove(KEY)  # nothing of it can be read, so its content is unknown
    elif rows.height < table.rows.height:
        write_statistics(store, StatisticsTable(rows))
