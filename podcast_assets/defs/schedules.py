"""What starts by the clock: the nightly retry of failures that may pass, and the janitor."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.jobs import JOB, TIDY_UP
from podcast_assets.defs.partitions import BATCHES, busy_batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.tags import run_tags
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.unfinished import with_passing_failures


def nightly_retry(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule that tries again what failed and not because of its data.

    One run per batch. What is done is taken from before, and each stage counts the attempts of an episode: after
    `PODCAST_RETRY_ATTEMPTS` of them it is left to people.
    """

    @dg.schedule(
        name="nightly_retry",
        job_name=JOB,
        cron_schedule=settings.retry_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs the batches again in which episodes failed, and not because of their data.",
    )
    def retry(context: dg.ScheduleEvaluationContext, store: StoreResource) -> list[dg.RunRequest] | dg.SkipReason:
        room = store.get()
        there = list_incoming(room).arrivals
        known = [b for b in context.instance.get_dynamic_partitions(BATCHES) if b in there]
        failed = with_passing_failures(room, known, attempts=settings.retry_attempts)
        busy = busy_batches(context.instance)
        # the moment of the tick: another night is another key, and a tick that is repeated requests nothing twice
        night = context.scheduled_execution_time.strftime("%Y%m%dT%H%M%SZ")
        requests = [
            dg.RunRequest(run_key=f"retry:{batch}:{night}", partition_key=batch, tags=run_tags("retry", settings))
            for batch in failed
            if batch not in busy
        ]
        return requests or dg.SkipReason("no episode failed that another attempt may help")

    return retry


def hourly_janitor(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule of the janitor's job."""

    @dg.schedule(
        name="janitor",
        job_name=TIDY_UP,
        cron_schedule=settings.janitor_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes what crashes left behind.",
    )
    def janitor(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=run_tags("janitor", settings))

    return janitor
