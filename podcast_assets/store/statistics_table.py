"""The tables of statistics: a few rows of counts for each batch, all batches in one file, and their sums over the batches.

Both are caches: what is missing or cannot be read is counted again from the tables of the batches.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import STATISTICS
from podcast_assets.store.store import DamagedTable, Store

KEY = "statistics/batches.parquet"
TOTALS_KEY = "statistics/totals.parquet"
"""What is read while no batch changes: a tenth of the rows, since hours, engines and reasons repeat in many batches."""
_NOTE, _FORMAT = "podcast_assets.statistics", 2
"""Name of the note, and the version of the rows' meaning: rows of another version are counted again."""

_OF_A_BATCH = ("batch", "version")
_SUMMED = ("episodes", "audio_seconds", "bytes", "seconds")
_OF_GROUPS = ("stage", "engine", "node", "gpu", "status", "language", "podcast", "reason")


@dataclass(frozen=True)
class StatisticsTable:
    """Rows of a table, with what was listed when they were counted."""

    rows: pl.DataFrame = field(default_factory=lambda: empty_table(STATISTICS))
    """Rows with the columns STATISTICS."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Folder of tables → its time of change in ns; empty where the store has no folders."""

    @property
    def versions(self) -> dict[str, str]:
        """Batch → version of its tables when they were counted."""
        return dict(self.rows.filter(kind="batch").select("batch", "version").iter_rows())


def read_statistics(store: Store) -> StatisticsTable:
    """Read the counts of each batch; empty if there are none, or none that this version can read."""
    return _read(store, KEY)


def read_totals(store: Store) -> StatisticsTable:
    """Read the sums over all batches, with each batch's row of the kind `batch`; empty as `read_statistics`.

    They are as old as the last call of `write_totals`: `versions` says of which batches they are.
    """
    return _read(store, TOTALS_KEY)


def _read(store: Store, key: str) -> StatisticsTable:
    try:
        found = store.read_noted_table(key, STATISTICS)
    except DamagedTable:
        found = None
    if found is None:
        return StatisticsTable()
    rows, notes = found
    note = json.loads(notes.get(_NOTE, "{}"))
    return StatisticsTable(rows, note.get("folders", {})) if note.get("format") == _FORMAT else StatisticsTable()


def write_statistics(store: Store, table: StatisticsTable) -> None:
    """Write the counts of each batch.

    Raises:
        StoreTrouble: the store is full, read-only or cannot be reached.
    """
    _write(store, KEY, table)


def write_totals(store: Store, table: StatisticsTable) -> None:
    """Write the sums of the counts of each batch; sums of sums are the same.

    Raises:
        StoreTrouble: the store is full, read-only or cannot be reached.
    """
    of_batch = pl.col("kind") == "batch"
    summed = (
        table.rows.filter(~of_batch)
        .group_by([name for name in STATISTICS if name not in (*_OF_A_BATCH, *_SUMMED)])
        .agg(pl.col(_SUMMED).sum())
        .with_columns(pl.lit(None, pl.String).alias(name) for name in _OF_A_BATCH)
        .sort("kind", "hour", *_OF_GROUPS)
        .select(*STATISTICS)
    )
    _write(store, TOTALS_KEY, StatisticsTable(pl.concat([table.rows.filter(of_batch), summed]), table.folders))


def _write(store: Store, key: str, table: StatisticsTable) -> None:
    note = {"format": _FORMAT, "folders": dict(table.folders)}
    store.write_table(key, table.rows, {_NOTE: json.dumps(note)})


def forget_batches(store: Store, batches: Collection[str]) -> None:
    """Remove the rows of batches, so that no name of what was taken down stays until they are counted again."""
    store.remove(TOTALS_KEY)
    if not store.exists(KEY):
        return
    table = read_statistics(store)
    rows = table.rows.filter(~pl.col("batch").is_in(list(batches)))
    if table.rows.is_empty():
        store.remove(KEY)  # nothing of it can be read, so its content is unknown
    elif rows.height < table.rows.height:
        write_statistics(store, StatisticsTable(rows))
