"""Asset `statistics`: totals of all batches. Nothing depends on it: no batch waits for it or fails with it."""

from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.facts import picture, preview
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.partitions import UNFINISHED
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.runs.retries import retry_only_database_errors
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.statistics.queue import count_queue
from podcast_assets.stages.statistics.refresh import refresh_statistics
from podcast_assets.stages.statistics.totals import Statistics, compute_statistics
from podcast_assets.store.statistics_table import KEY

UPDATE_STATISTICS = "update_statistics"
"""Name of the job that materializes the asset."""
GROUP = "operation"


@dg.asset(
    deps=[hf_shards.key],
    group_name=GROUP,
    kinds={"polars", "parquet"},
    owners=["team:podcast-assets"],
    code_version="1",
)
def statistics(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult[Any]:
    """Episodes, hours, success rate, speed, failures by reason and what waits, of all batches, as `podcast-assets stats` prints.

    Only batches that changed since the last time are read.
    """
    record_process(context.instance, context.run)
    with retry_only_database_errors(context.instance, context.run):
        opened = store.get()
        refreshed = refresh_statistics(
            opened, lambda done, total: context.log.info(f"counted {done:,} of {total:,} batches")
        )
        if refreshed.not_saved:
            context.log.warning(f"the counts are not kept, and the next run counts again: {refreshed.not_saved}")
        waiting, active = _count_runs(context.instance, context.run.run_id)
        queue = count_queue(refreshed.rows, list_incoming(opened), runs_queued=waiting, runs_active=active)
        by_day = compute_statistics(refreshed.rows, queue, by="day")
        by_language = compute_statistics(refreshed.rows, queue, by="language")
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": str(opened.path(KEY)),
            "dagster/row_count": refreshed.rows.height,
            "batches_counted_now": refreshed.counted,
            **_facts(by_day, by_language),
        }
    )


def statistics_job(settings: Settings) -> AssetJob:
    """Define the job that materializes the asset `statistics`."""
    return dg.define_asset_job(
        UPDATE_STATISTICS,
        selection=dg.AssetSelection.groups(GROUP),
        executor_def=dg.in_process_executor,
        tags={MAX_RUNTIME: run_tags("statistics", settings)[MAX_RUNTIME]},
        description="Counts what became of all episodes. Only batches that changed are read.",
    )


def _count_runs(instance: dg.DagsterInstance, own: str) -> tuple[int, int]:
    """Count the runs that wait, and those that start, run or are being canceled, without this one."""
    waiting = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
    active = [s for s in UNFINISHED if s not in waiting]
    queued = instance.get_runs_count(dg.RunsFilter(statuses=waiting))
    records = instance.get_run_records(dg.RunsFilter(statuses=active))
    return queued, sum(1 for record in records if record.dagster_run.run_id != own)


def _facts(by_day: Statistics, by_language: Statistics) -> dict[str, Any]:
    from podcast_assets.stages.statistics.plots import draw_statistics

    queue = by_day.queue
    facts: dict[str, Any] = {
        **{f"batches_{state}": number for state, number in by_day.batches.items()},
        **{f"episodes_{status}": number for status, number in by_day.episodes.items()},
        "hours": by_day.hours,
        "bytes": by_day.bytes,
        "batches_waiting": queue.batches_waiting,
        "hours_pending": queue.hours_pending,
        "runs_queued": queue.runs_queued,
        "runs_active": queue.runs_active,
    }
    if by_day.success_rate is not None:
        facts["success_rate"] = by_day.success_rate
    if by_day.stages:
        facts["stages"] = preview(pl.DataFrame(by_day.stages), ["stage", "episodes", "hours", "x_real_time"])
    if by_day.failures:
        facts["failures"] = preview(pl.DataFrame(by_day.failures), ["reason", "stage", "episodes"])
    if by_day.groups:
        columns = ["day", "done", "failed", "hours", "success_rate"]
        facts["days"] = preview(pl.DataFrame(by_day.groups[::-1]), columns)
        facts["plots"] = picture(draw_statistics(by_day, by_language), "episodes, hours, speed and failures")
    return facts
