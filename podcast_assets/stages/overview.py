"""Rows of batches, episodes and failures in the store, for the commands that list them. Read-only."""

import datetime
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from podcast_assets.intake.arrivals import Arrival, Incoming, list_incoming
from podcast_assets.stages.batch_warnings import episodes_without_speech
from podcast_assets.stages.report import stage_failures
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.schema import ASSETS, RAW_AUDIO
from podcast_assets.store.stage_names import STAGES, TABLE_STAGES
from podcast_assets.store.store import STORE_READERS, Store, table_key

_EPISODE_COLUMNS = (
    "episode_id source status error title language duration bytes codec sha256 duplicate_of also_in".split()
)
UNPACK = "unpack"
"""Stage of the failures of files that could not be extracted from their batch."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchRow:
    """A batch and its progress."""

    batch: str
    state: str
    """arrived, begun, done, or busy (in a queued or active run)."""
    stages: list[str]
    """Stages with a committed table."""
    arrived: str | None
    """When its files under incoming/ last changed, ISO 8601; None if they are gone."""
    files: int
    """Number of files under incoming/."""
    bytes: int
    """Size of these files."""
    done: int
    failed: int
    skipped: int
    discarded: int
    """Episodes that people discarded; they are not counted as done, failed or skipped."""
    failures: int
    """Episodes that failed in any stage."""
    hours: float
    """Audio of the episodes that are done."""


def batch_names(store: Store, incoming: Incoming | None = None) -> list[str]:
    """All batches that are under incoming/ or have a table, sorted.

    Args:
        store: store of the batches.
        incoming: listing of incoming/, if there is one already.
    """
    arrivals = (incoming or list_incoming(store)).arrivals
    return sorted({*arrivals, *(b for names in _committed_batches(store).values() for b in names)})


def batch_rows(
    store: Store,
    names: Collection[str] | None = None,
    *,
    incoming: Incoming | None = None,
    busy: Collection[str] = (),
    limit: int | None = None,
) -> list[BatchRow]:
    """List batches, newest first.

    Args:
        store: store of the batches.
        names: only these; None for all.
        incoming: listing of incoming/, if there is one already.
        busy: batches in queued or active runs.
        limit: maximum number of rows; None for all.
    """
    arrivals, committed = (incoming or list_incoming(store)).arrivals, _committed_batches(store)
    known = {*arrivals, *(b for tables in committed.values() for b in tables)}
    chosen = sorted(known if names is None else known.intersection(names))
    chosen.sort(key=lambda b: _last_modified(arrivals.get(b)), reverse=True)
    return _map_concurrently(
        chosen[:limit],
        lambda b: _batch_row(store, b, arrivals.get(b), [a for a in ASSETS if b in committed[a]], b in busy),
    )


def episode_rows(store: Store, batches: Iterable[str], *, status: str | None = None) -> list[dict[str, Any]]:
    """List the episodes of batches. An episode that failed in any stage has the status `failed`, with the error.

    An episode without speech is done; its `no_speech` is true. One that was discarded has the status `discarded`; the value of
    `discarded` says when and why.
    """
    episodes = [row for rows in _map_concurrently(list(batches), lambda b: _read_episodes(store, b)) for row in rows]
    return [row for row in episodes if status is None or row["status"] == status]


def failure_rows(store: Store, batches: Iterable[str], *, stage: str | None = None) -> list[dict[str, Any]]:
    """List the failures of batches in the order of the stages. Files that could not be extracted have the stage `unpack`.

    Failures of optional stages, which fail no episode, come last. Those of discarded episodes are left out.
    """
    of_batches = _map_concurrently(list(batches), lambda b: _read_failures(store, b, TABLE_STAGES))
    return [row for rows in of_batches for row in rows if stage is None or row["stage"] == stage]


def _map_concurrently(items: Sequence[Item], read: Callable[[Item], Result]) -> list[Result]:
    with ThreadPoolExecutor(STORE_READERS) as readers:
        return list(readers.map(read, items))


def _committed_batches(store: Store) -> dict[str, set[str]]:
    """Asset → batches with its table."""
    return {asset: set(store.table_names(f"tables/{asset}")) for asset in ASSETS}


def _last_modified(arrival: Arrival | None) -> float:
    return max((f.modified for f in arrival.files), default=0.0) if arrival else 0.0


def _batch_row(store: Store, batch: str, arrival: Arrival | None, committed: list[str], busy: bool) -> BatchRow:
    discarded = list(read_batch_discards(store, batch))
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO) if "raw_audio" in committed else None
    files = table.height if table is not None else 0
    if table is not None:
        table = table.filter(~pl.col("episode_id").is_in(discarded))
    counts = dict(table["status"].value_counts().iter_rows()) if table is not None else {}
    progress = "done" if len(committed) == len(ASSETS) else "begun" if committed else "arrived"
    modified = _last_modified(arrival)
    time = datetime.datetime.fromtimestamp(modified, datetime.UTC).isoformat(timespec="seconds")
    return BatchRow(
        batch=batch,
        state="busy" if busy else progress,
        stages=[STAGES[a] for a in committed],
        arrived=time if modified else None,
        files=len(arrival.files) if arrival else 0,
        bytes=arrival.bytes if arrival else 0,
        done=counts.get("done", 0),
        failed=counts.get("failed", 0),
        skipped=counts.get("skipped", 0),
        discarded=files - table.height if table is not None else 0,
        failures=len({row["episode_id"] for row in _read_failures(store, batch)}) if committed else 0,
        hours=round(float(table.filter(status="done")["duration"].sum()) / 3600, 4) if table is not None else 0.0,
    )


def _read_episodes(store: Store, batch: str) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    if table is None:
        return []
    failures = {row["episode_id"]: row for row in stage_failures(store, batch).iter_rows(named=True)}
    silent = episodes_without_speech(CommittedTable.read(store, "diarized_segments", batch))
    discarded = read_batch_discards(store, batch)
    rows = []
    for row in table.select(_EPISODE_COLUMNS).iter_rows(named=True):
        row["no_speech"] = row["episode_id"] in silent
        failure = failures.get(row["episode_id"])
        changes = {"status": "failed", "error": f"{failure['stage']}: {failure['message']}"} if failure else {}
        reason = discarded.get(row["episode_id"])
        changes |= {"discarded": reason} | ({"status": "discarded"} if reason else {})
        rows.append({"batch": batch, **row, **changes})
    return rows


def _read_failures(store: Store, batch: str, tables: Iterable[str] = STAGES) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    discarded = list(read_batch_discards(store, batch))
    failures = stage_failures(store, batch, tables).filter(~pl.col("episode_id").is_in(discarded))
    rows = [{"batch": batch, **row} for row in failures.iter_rows(named=True)]
    if table is None:
        return rows
    listed = {row["episode_id"] for row in rows}.union(discarded)
    not_extracted = table.filter((pl.col("status") == "failed") & ~pl.col("episode_id").is_in(list(listed)))
    return [
        {
            "batch": batch,
            **dict.fromkeys(failures.columns),
            **row,
            "stage": UNPACK,
            "error_type": "BadInput",
            "permanent": True,
            "attempts": 1,
        }
        for row in not_extracted.select("episode_id", "source", message="error").iter_rows(named=True)
    ] + rows
