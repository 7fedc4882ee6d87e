"""Schedules: the nightly retry of temporary failures, the janitor, and the statistics."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.statistics import UPDATE_STATISTICS
from podcast_assets.defs.jobs import JOB, TIDY_UP
from podcast_assets.defs.partitions import BATCHES, busy_batches
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.redo_guard import hold_redo
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.run_schedule import run_on_schedule
from podcast_assets.defs.runs.tags import run_tags
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.unfinished import with_retryable_failures


def nightly_retry(settings: Settings) -> dg.ScheduleDefinition:
    """Define the schedule that retries episodes whose failure was not caused by their data.

    It requests one run per batch, which reuses finished results. After `PODCAST_RETRY_ATTEMPTS` attempts of a stage, an episode is
    not retried any more.
    """

    @dg.schedule(
        name="nightly_retry",
        job_name=JOB,
        cron_schedule=settings.retry_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs batches again if episodes failed for another reason than their data.",
    )
    def retry(context: dg.ScheduleEvaluationContext, store: StoreResource) -> list[dg.RunRequest] | dg.SkipReason:
        if paused := skip_while_paused(context.instance):
            return paused
        opened = store.get()
        arrivals = list_incoming(opened).arrivals
        known = [b for b in context.instance.get_dynamic_partitions(BATCHES) if b in arrivals]
        failed = with_retryable_failures(opened, known, attempts=settings.retry_attempts)
        busy = busy_batches(context.instance)
        # the run key holds the time of the tick, so that a repeated tick requests nothing twice
        night = context.scheduled_execution_time.strftime("%Y%m%dT%H%M%SZ")
        held = hold_redo(context.instance, settings, opened, [batch for batch in failed if batch not in busy])
        if held.batches:
            context.log.warning(held.message)
        requests = [
            dg.RunRequest(run_key=f"retry:{batch}:{night}", partition_key=batch, tags=run_tags("retry", settings))
            for batch in failed
            if batch not in busy and batch not in held.batches
        ]
        return requests or dg.SkipReason(held.message or "no failed episode can be retried")

    return retry


def hourly_janitor(settings: Settings) -> dg.ScheduleDefinition:
    """Define the schedule of the janitor's job."""
    return run_on_schedule(
        settings,
        name="janitor",
        job=TIDY_UP,
        cron=settings.janitor_cron,
        kind="janitor",
        description="Removes files that crashes left behind.",
    )


def hourly_statistics(settings: Settings) -> dg.ScheduleDefinition:
    """Define the schedule that materializes the asset `statistics`."""
    return run_on_schedule(
        settings,
        name="statistics",
        job=UPDATE_STATISTICS,
        cron=settings.statistics_cron,
        kind="statistics",
        description="Counts what became of all episodes.",
    )
