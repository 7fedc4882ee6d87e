"""What waits: batches that arrived and are not begun, and batches that are begun and not done."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from podcast_assets.intake.arrivals import Incoming


@dataclass(frozen=True)
class QueueCounts:
    """What waits to be processed."""

    batches_waiting: int
    """Batches under incoming/ without any table."""
    files_waiting: int
    bytes_waiting: int
    batches_begun: int
    """Batches with some of their tables."""
    episodes_pending: int
    """Episodes of these that have not failed."""
    hours_pending: float
    runs_queued: int | None = None
    """Runs of Dagster; None if that is not known."""
    runs_active: int | None = None


def count_queue(
    rows: pl.DataFrame, incoming: Incoming, *, runs_queued: int | None = None, runs_active: int | None = None
) -> QueueCounts:
    """Count what waits.

    Args:
        rows: rows of all batches, with the columns STATISTICS.
        incoming: listing of incoming/.
        runs_queued: Dagster runs that wait; None if unknown.
        runs_active: Dagster runs that start, run or are being canceled.
    """
    known: Collection[str] = set(rows.filter(kind="batch")["batch"])
    waiting = [arrival for batch, arrival in incoming.arrivals.items() if batch not in known]
    pending = rows.filter(kind="episodes", status="pending")
    return QueueCounts(
        batches_waiting=len(waiting),
        files_waiting=sum(len(a.files) for a in waiting),
        bytes_waiting=sum(a.bytes for a in waiting),
        batches_begun=rows.filter(kind="batch", status="begun").height,
        episodes_pending=int(pending["episodes"].sum()),
        hours_pending=round(float(pending["audio_seconds"].sum()) / 3600, 4),
        runs_queued=runs_queued,
        runs_active=runs_active,
    )
