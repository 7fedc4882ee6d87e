"""Sensors that notify the webhook of the settings of every run that starts or finishes."""

import json
from collections.abc import Sequence

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.review_decisions import PUBLISH_REVIEWS
from podcast_assets.defs.assets.statistics import UPDATE_STATISTICS
from podcast_assets.defs.jobs import TIDY_UP
from podcast_assets.defs.notifications import (
    configured_webhook,
    describe_run,
    describe_step_error,
    notifies_itself,
    stage_counts,
)
from podcast_assets.defs.partitions import BATCHES, batches_in_run
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.errors import traceback_lines
from podcast_assets.defs.webhook import send

_HOUSEKEEPING = (TIDY_UP, UPDATE_STATISTICS, PUBLISH_REVIEWS)
"""Jobs that run every hour, and of which only failures are worth a notification."""


def _notify(
    context: dg.RunStatusSensorContext,
    store: StoreResource,
    settings: Settings,
    status: dg.DagsterRunStatus,
    error: str | None = None,
    trace: Sequence[str] = (),
) -> dg.SkipReason | None:
    run = context.dagster_run
    webhook = configured_webhook(settings, status)
    if webhook is None or notifies_itself(run, status):
        return None
    batches = batches_in_run(run, list(context.instance.get_dynamic_partitions(BATCHES)))
    content = describe_run(run, status, batches, stage_counts(store.get(), batches), error, trace)
    tries = send(webhook, content)
    context.log.info(json.dumps(content, ensure_ascii=False))
    # returning a result ends the tick: it must end within 60 s, and a webhook that is down can take most of that
    return dg.SkipReason(f"notified {webhook.host} of run {run.run_id} at attempt {tries}")


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.STARTED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Notifies the webhook of every run that starts.",
)
def tell_of_start(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Notify the webhook of a run that starts, unless it is the janitor's or the statistics'."""
    if context.dagster_run.job_name in _HOUSEKEEPING:
        return None
    return _notify(context, store, settings, dg.DagsterRunStatus.STARTED)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Notifies the webhook of every failed run, with its error.",
)
def tell_of_failure(
    context: dg.RunFailureSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Notify the webhook of a failed run, with the error of its first failed step or of the run itself."""
    if steps := context.get_step_failure_events():
        error, trace = describe_step_error(str(steps[0].step_key), steps[0].step_failure_data.error)
    else:
        error, trace = (
            context.failure_event.message or "",
            traceback_lines(context.failure_event.job_failure_data.error),
        )
    return _notify(context, store, settings, dg.DagsterRunStatus.FAILURE, error, trace)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Notifies the webhook of every canceled run, such as one that exceeded its maximum duration.",
)
def tell_of_cancellation(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Notify the webhook of a canceled run."""
    return _notify(context, store, settings, dg.DagsterRunStatus.CANCELED, context.dagster_event.message)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Notifies the webhook of every successful run, with numbers of episodes.",
)
def tell_of_success(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Notify the webhook of a successful run, unless it is the janitor's or the statistics'."""
    if context.dagster_run.job_name in _HOUSEKEEPING:
        return None
    return _notify(context, store, settings, dg.DagsterRunStatus.SUCCESS)
