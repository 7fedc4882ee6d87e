"""What the store knows of batches, episodes and failures, as rows for the commands that show them. Nothing is changed."""

import datetime
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl

from podcast_assets.intake.arrivals import Arrival, list_incoming
from podcast_assets.stages.report import stage_failures
from podcast_assets.store.schema import ASSETS, RAW_AUDIO
from podcast_assets.store.stage_names import STAGES, TABLE_STAGES
from podcast_assets.store.store import Store, table_key

_READERS = 16
"""Batches read at once: over a network each file takes tens of milliseconds, in which nothing else happens."""
_EPISODE = "episode_id source status error title language duration bytes codec sha256 duplicate_of also_in"
UNPACK = "unpack"
"""What stands for the stage of a file that could not be taken out of its batch."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchRow:
    """A batch: what arrived, and how far it is."""

    batch: str
    state: str
    """arrived, begun, done, or busy (a run has it or waits)."""
    stages: list[str]
    """Stages whose table is committed."""
    arrived: str | None
    """Time of the last change of what lies under incoming/, ISO 8601; None where it is gone."""
    files: int
    """That lie under incoming/."""
    bytes: int
    """Of them."""
    done: int
    failed: int
    skipped: int
    failures: int
    """Episodes that failed in any stage."""
    hours: float
    """Of audio that is done."""


def batch_names(store: Store) -> list[str]:
    """All batches that lie under incoming/ or have a table, in order."""
    return sorted({*list_incoming(store).arrivals, *(b for names in _committed(store).values() for b in names)})


def batch_rows(
    store: Store, names: Collection[str] | None = None, *, busy: Collection[str] = (), limit: int | None = None
) -> list[BatchRow]:
    """Batches, those that arrived last first.

    Args:
        store: with the batches.
        names: only these; None for all.
        busy: batches of runs that wait or go on.
        limit: how many at most; None for all.
    """
    arrivals, committed = list_incoming(store).arrivals, _committed(store)
    known = {*arrivals, *(b for tables in committed.values() for b in tables)}
    chosen = sorted(known if names is None else known.intersection(names))
    chosen.sort(key=lambda b: _changed(arrivals.get(b)), reverse=True)
    return _each(
        chosen[:limit],
        lambda b: _batch_row(store, b, arrivals.get(b), [a for a in ASSETS if b in committed[a]], b in busy),
    )


def episode_rows(store: Store, batches: Iterable[str], *, status: str | None = None) -> list[dict[str, Any]]:
    """Episodes of batches, each with what became of it in the end: a failure of a later stage counts."""
    found = [row for rows in _each(list(batches), lambda b: _episodes(store, b)) for row in rows]
    return [row for row in found if status is None or row["status"] == status]


def failure_rows(store: Store, batches: Iterable[str], *, stage: str | None = None) -> list[dict[str, Any]]:
    """Failures of batches in the stages' order; what could not be taken out of an archive is one of `unpack`.

    Those of optional stages, which fail no episode, come last.
    """
    found = [row for rows in _each(list(batches), lambda b: _failures(store, b, TABLE_STAGES)) for row in rows]
    return [row for row in found if stage is None or row["stage"] == stage]


def _each(items: Sequence[Item], read: Callable[[Item], Result]) -> list[Result]:
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(read, items))


def _committed(store: Store) -> dict[str, set[str]]:
    """Asset → batches with its table."""
    found = {}
    for asset in ASSETS:
        names = store.names(f"tables/{asset}")
        found[asset] = {n.removesuffix(".parquet") for n in names if n.endswith(".parquet") and not n.startswith(".")}
    return found


def _changed(arrival: Arrival | None) -> float:
    return max((f.modified for f in arrival.files), default=0.0) if arrival else 0.0


def _batch_row(store: Store, batch: str, arrival: Arrival | None, committed: list[str], busy: bool) -> BatchRow:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO) if "raw_audio" in committed else None
    counts = dict(table["status"].value_counts().iter_rows()) if table is not None else {}
    done = "done" if len(committed) == len(ASSETS) else "begun" if committed else "arrived"
    changed = _changed(arrival)
    return BatchRow(
        batch=batch,
        state="busy" if busy else done,
        stages=[STAGES[a] for a in committed],
        arrived=datetime.datetime.fromtimestamp(changed, datetime.UTC).isoformat(timespec="seconds")
        if changed
        else None,
        files=len(arrival.files) if arrival else 0,
        bytes=arrival.bytes if arrival else 0,
        done=counts.get("done", 0),
        failed=counts.get("failed", 0),
        skipped=counts.get("skipped", 0),
        failures=len({row["episode_id"] for row in _failures(store, batch)}) if committed else 0,
        hours=round(float(table.filter(status="done")["duration"].sum()) / 3600, 4) if table is not None else 0.0,
    )


def _episodes(store: Store, batch: str) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    if table is None:
        return []
    later = {row["episode_id"]: row for row in stage_failures(store, batch).iter_rows(named=True)}
    rows = []
    for row in table.select(_EPISODE.split()).iter_rows(named=True):
        failure = later.get(row["episode_id"])
        changes = {"status": "failed", "error": f"{failure['stage']}: {failure['message']}"} if failure else {}
        rows.append({"batch": batch, **row, **changes})
    return rows


def _failures(store: Store, batch: str, tables: Iterable[str] = STAGES) -> list[dict[str, Any]]:
    table = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    listed = stage_failures(store, batch, tables)
    rows = [{"batch": batch, **row} for row in listed.iter_rows(named=True)]
    if table is None:
        return rows
    known = {row["episode_id"] for row in rows}
    lost = table.filter((pl.col("status") == "failed") & ~pl.col("episode_id").is_in(list(known)))
    return [
        {
            "batch": batch,
            **dict.fromkeys(listed.columns),
            **row,
            "stage": UNPACK,
            "error_type": "BadInput",
            "permanent": True,
            "attempts": 1,
        }
        for row in lost.select("episode_id", "source", pl.col("error").alias("message")).iter_rows(named=True)
    ] + rows
