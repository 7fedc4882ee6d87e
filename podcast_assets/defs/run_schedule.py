"""Schedules whose ticks request one run of a job."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.runs.tags import Source, run_tags


def run_on_schedule(
    settings: Settings, *, name: str, job: str, cron: str, kind: Source, description: str, running: bool = True
) -> dg.ScheduleDefinition:
    """Define a schedule that requests a run of a job at each tick.

    Args:
        settings: settings of the runs.
        name: name of the schedule.
        job: name of the job.
        cron: when it ticks, in UTC.
        kind: what requests the run, for its tags (`run_tags`).
        description: description in the UI.
        running: whether it is on by default.
    """

    @dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=description,
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return skip_while_paused(context.instance) or dg.RunRequest(tags=run_tags(kind, settings))

    return tick
