"""Refresh the table of statistics: only batches whose tables changed since they were counted are read again."""

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from podcast_assets.common.errors import StoreTrouble
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.stages.statistics.counts import COLUMNS, BatchTables, count_batches
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import DISCARD_RECORDS, read_batch_discards
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.statistics_table import (
    StatisticsTable,
    read_statistics,
    read_totals,
    write_statistics,
    write_totals,
)
from podcast_assets.store.store import STORE_READERS, Store

log = logging.getLogger(__name__)

SAVED_EVERY = 250
"""Batches that are counted between two writes, so that an interrupted first count of many batches is resumed."""
SETTLED_SECONDS = 2.0
"""Age from which a folder's time of change is trusted: within the resolution of its clock another change may follow unseen."""

_KINDS = pl.Enum(["batch", "episodes", "work", "failures"])

Progress = Callable[[int, int], None]
"""Called with the number of batches that are counted, and that of all to count."""


@dataclass(frozen=True)
class RefreshedStatistics:
    """Rows of all batches that have a table, and how they were obtained."""

    rows: pl.DataFrame
    """Rows with the columns STATISTICS, the kind as an enumeration: of each batch, or, but for those of the kind `batch`, sums."""
    counted: int
    """Batches that were read again."""
    not_saved: str | None = None
    """Why the table could not be written; None if it was, or did not change."""


@dataclass(frozen=True)
class _BatchVersion:
    version: str
    """Of its tables, and of the records of its discards."""
    committed_at: float
    """Newest change of its tables, POSIX seconds."""
    discards: bool
    """Whether it has records of discards."""


def refresh_statistics(store: Store, progress: Progress = lambda done, total: None) -> RefreshedStatistics:
    """Count the batches that are new or changed, forget those that are gone, and save the result.

    A store that cannot be written to is no error: the counts are then used once.

    Args:
        store: store with the batches.
        progress: told how many batches are counted.

    Raises:
        OSError: the store cannot be listed or read.
    """
    totals = read_totals(store)
    folders = _folder_times(store, time.time())
    if folders and folders == totals.folders:
        return RefreshedStatistics(_with_kinds(totals.rows), 0)
    versions = _list_versions(store)
    if totals.versions == {batch: found.version for batch, found in versions.items()}:
        if folders != totals.folders:
            _save(store, write_totals, replace(totals, folders=folders))
        return RefreshedStatistics(_with_kinds(totals.rows), 0)
    return _count_changed(store, versions, folders, progress)


def _count_changed(
    store: Store, versions: Mapping[str, _BatchVersion], folders: Mapping[str, int], progress: Progress
) -> RefreshedStatistics:
    known = read_statistics(store)
    before = known.versions
    changed = [batch for batch, found in versions.items() if before.get(batch) != found.version]
    outdated = [*changed, *(before.keys() - versions.keys())]
    table = StatisticsTable(known.rows.filter(~pl.col("batch").is_in(outdated)) if outdated else known.rows)
    not_saved: str | None = None
    counted = 0
    for start in range(0, len(changed), SAVED_EVERY):
        part = changed[start : start + SAVED_EVERY]
        tables = list(run_in_threads(lambda b: _read(store, b, versions[b]), part, STORE_READERS, name="statistics"))
        counted += len(part)
        table = replace(table, rows=pl.concat([table.rows, count_batches(tables)]))
        progress(counted, len(changed))
        if not_saved is None:
            not_saved = _save(store, write_statistics, table)
    if outdated and not changed:
        not_saved = _save(store, write_statistics, table)
    if not_saved is None:
        not_saved = _save(store, write_totals, replace(table, folders=folders))
    return RefreshedStatistics(_with_kinds(table.rows), counted, not_saved)


def _with_kinds(rows: pl.DataFrame) -> pl.DataFrame:
    """Store the kinds of rows as numbers: what reads them filters by kind, which takes less than half the time then."""
    return rows.with_columns(pl.col("kind").cast(_KINDS))


def _save(store: Store, write: Callable[[Store, StatisticsTable], None], table: StatisticsTable) -> str | None:
    """Write a table; return why that is not possible."""
    try:
        write(store, table)
    except StoreTrouble as error:
        log.debug("statistics are not saved", exc_info=True)
        return str(error)
    return None


def _read(store: Store, batch: str, found: _BatchVersion) -> BatchTables:
    tables = {a: CommittedTable.read_columns(store, a, batch, COLUMNS.get(a, ())) for a in TABLE_STAGES}
    discarded = read_batch_discards(store, batch) if found.discards else ()
    return BatchTables(batch, found.version, found.committed_at, tables, frozenset(discarded))


def _list_versions(store: Store) -> dict[str, _BatchVersion]:
    """Batch → version of its tables: a hash of the times, sizes and entity tags of their files."""
    with ThreadPoolExecutor(len(TABLE_STAGES)) as readers:
        listings = list(readers.map(lambda asset: store.list_folder(f"tables/{asset}"), TABLE_STAGES))
    parts: dict[str, list[str]] = {}
    newest: dict[str, float] = {}
    for number, listing in enumerate(listings):
        for entry in listing.files:
            name = entry.key.rsplit("/", 1)[-1]
            if name.startswith(".") or not name.endswith(".parquet"):
                continue
            batch = name.removesuffix(".parquet")
            parts.setdefault(batch, []).append(f"{number}:{entry.bytes}:{entry.modified}:{entry.content or ''}")
            newest[batch] = max(newest.get(batch, 0.0), entry.modified)
    discards: dict[str, list[str]] = {}
    for entry in store.list(DISCARD_RECORDS.folder):
        discards.setdefault(entry.key.split("/")[1], []).append(f"{entry.key}:{entry.modified}")
    versions = {batch: "|".join([*parts[batch], *sorted(discards.get(batch, ()))]) for batch in sorted(parts)}
    return {
        batch: _BatchVersion(hashlib.sha256(text.encode()).hexdigest()[:16], newest[batch], batch in discards)
        for batch, text in versions.items()
    }


def _folder_times(store: Store, now: float) -> Mapping[str, int]:
    """Time of change of each folder of tables and of discards, ns, which changes when a file is written or removed.

    Empty if it says nothing: in a bucket, or if a folder changed just now.
    """
    if not store.is_local:
        return {}
    times = {}
    for name, folder in _watched_folders(Path(str(store.root))):
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        if now - changed / 1e9 < SETTLED_SECONDS:
            return {}
        times[name] = changed
    return times


def _watched_folders(root: Path) -> Iterator[tuple[str, Path]]:
    yield from ((asset, root / "tables" / asset) for asset in TABLE_STAGES)
    discards = root / DISCARD_RECORDS.folder
    yield DISCARD_RECORDS.folder, discards
    with contextlib.suppress(FileNotFoundError):
        yield from ((f"{DISCARD_RECORDS.folder}/{folder.name}", folder) for folder in discards.iterdir())
