"""Totals and groups, computed from the counts of all batches."""

import datetime
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from podcast_assets.stages.statistics.queue import QueueCounts
from podcast_assets.store.stage_names import TABLE_STAGES

STATUSES = ("done", "failed", "skipped", "discarded", "pending")
STATES = ("done", "failed", "empty", "begun")
"""States of a batch with a table: as `batches` shows them."""
_TIMES = {"day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H:00Z"}
_OF_WORK = ("engine", "gpu")
"""Groups of the work of stages; the others are groups of episodes."""


@dataclass(frozen=True)
class Statistics:
    """What became of all episodes, as JSON values."""

    since: str | None
    """Beginning of the period, ISO 8601; None for all. Batches and the queue are those of now."""
    batches: dict[str, int]
    """Number of batches with a table: total, and by STATES."""
    episodes: dict[str, int]
    """Number of files and episodes: total, and by STATUSES."""
    hours: float
    """Audio of the episodes that are done."""
    bytes: int
    """Size of the originals of the episodes that are done."""
    success_rate: float | None
    """Episodes that are done, of those done or failed, 0 to 1; None without any."""
    stages: list[dict[str, Any]]
    """Per stage: episodes, hours of audio, seconds of processing, x_real_time (hours of audio per hour of a worker)."""
    failures: list[dict[str, Any]]
    """Stage, reason and number of episodes, the most frequent first."""
    queue: QueueCounts
    by: str | None
    """One of GROUPS, or None."""
    groups: list[dict[str, Any]]
    """Rows of the groups, which begin with the name of the group."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def compute_statistics(
    rows: pl.DataFrame, queue: QueueCounts, *, by: str | None = None, since: datetime.datetime | None = None
) -> Statistics:
    """Compute totals, and groups if they are asked for.

    Args:
        rows: rows of all batches, with the columns STATISTICS.
        queue: what waits.
        by: one of GROUPS.
        since: only what was finished or failed in or after the hour of this time, which has a time zone.
    """
    batches = rows.filter(kind="batch")
    hour = None
    if since is not None:
        hour = since.astimezone(datetime.UTC).replace(minute=0, second=0, microsecond=0)
        rows = rows.filter(pl.col("hour") >= hour)
    episodes, work, failures = (rows.filter(kind=kind) for kind in ("episodes", "work", "failures"))
    total = next(iter(_measure_episodes(episodes.with_columns(all=pl.lit("all")), "all")), {})
    return Statistics(
        since=hour.isoformat() if hour else None,
        batches={"total": batches.height, **{s: batches.filter(status=s).height for s in STATES}},
        episodes={"total": total.get("episodes", 0), **{s: total.get(s, 0) for s in STATUSES}},
        hours=total.get("hours", 0.0),
        bytes=total.get("bytes", 0),
        success_rate=total.get("success_rate"),
        stages=_in_order_of_stages(_measure_work(work, ["stage"])),
        failures=failures.group_by("stage", "reason")
        .agg(pl.col("episodes").sum())
        .sort("episodes", "stage", "reason", descending=[True, False, False])
        .to_dicts(),
        queue=queue,
        by=by,
        groups=[] if by is None else _group(work if by in _OF_WORK else episodes, by),
    )


def _group(rows: pl.DataFrame, by: str) -> list[dict[str, Any]]:
    if by == "status":
        return _measure_statuses(rows)
    if by in _TIMES:
        return _measure_episodes(rows.with_columns(pl.col("hour").dt.strftime(_TIMES[by]).alias(by)), by, in_order=True)
    if by == "gpu":
        machine = pl.col("node").fill_null("unknown")
        name = (
            pl.when(pl.col("gpu").is_null()).then(machine + pl.lit(" CPU")).otherwise(machine + pl.lit(" GPU ") + "gpu")
        )
        rows = rows.with_columns(gpu=name)
    if by in _OF_WORK:
        return _measure_work(rows.with_columns(pl.col(by).fill_null("none")), [by, "stage"])
    return _measure_episodes(rows.with_columns(pl.col(by).fill_null("unknown")), by)


def _measure_episodes(rows: pl.DataFrame, by: str, *, in_order: bool = False) -> list[dict[str, Any]]:
    """Episodes by status, the success rate, and hours and bytes of the episodes that are done."""
    done = pl.col("status") == "done"
    attempted = pl.col("done") + pl.col("failed")
    measured = (
        rows.group_by(by)
        .agg(
            pl.col("episodes").sum(),
            *(pl.col("episodes").filter(pl.col("status") == status).sum().alias(status) for status in STATUSES),
            hours=(pl.col("audio_seconds").filter(done).sum() / 3600).round(4),
            bytes=pl.col("bytes").filter(done).sum(),
        )
        .with_columns(success_rate=pl.when(attempted > 0).then((pl.col("done") / attempted).round(4)))
    )
    ordered = measured.sort(by) if in_order else measured.sort("hours", "episodes", by, descending=[True, True, False])
    return ordered.to_dicts()


def _measure_statuses(rows: pl.DataFrame) -> list[dict[str, Any]]:
    measured = rows.group_by("status").agg(
        pl.col("episodes").sum(), hours=(pl.col("audio_seconds").sum() / 3600).round(4), bytes=pl.col("bytes").sum()
    )
    return sorted(measured.to_dicts(), key=lambda row: STATUSES.index(row["status"]))


def _measure_work(rows: pl.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    measured = (
        rows.group_by(by)
        .agg(
            pl.col("episodes").sum(),
            hours=(pl.col("audio_seconds").sum() / 3600).round(4),
            seconds=pl.col("seconds").sum().round(1),
            x_real_time=pl.col("audio_seconds").sum() / pl.col("seconds").sum(),
        )
        .with_columns(x_real_time=pl.when(pl.col("x_real_time").is_finite()).then(pl.col("x_real_time").round(1)))
    )
    return measured.sort("seconds", *by, descending=[True, *(False for _ in by)]).to_dicts()


def _in_order_of_stages(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = {stage: number for number, stage in enumerate(TABLE_STAGES.values())}
    return sorted(rows, key=lambda row: order.get(row["stage"], len(order)))
