"""Sensors that notify the webhook of the settings of every finished run."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.statistics import UPDATE_STATISTICS
from podcast_assets.defs.jobs import TIDY_UP
from podcast_assets.defs.partitions import BATCHES, batches_in_run
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.errors import summarize_error
from podcast_assets.defs.runs.tags import SOURCE
from podcast_assets.defs.webhook import Webhook, send
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store

ERROR_LENGTH = 500
"""Maximum length of an error in a notification, in characters: it is one line in a chat, and the run has the rest."""


def stage_counts(store: Store, batches: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the done and failed episodes that each stage has committed for the batches; stages without commits are missing."""
    counts: dict[str, dict[str, int]] = {}
    for asset in ASSETS:
        committed = [c for c in (CommittedTable.read(store, asset, b) for b in batches) if c.table is not None]
        if committed:
            counts[STAGES[asset]] = {
                "done": sum(len(c.fingerprints) for c in committed),
                "failed": sum(len(c.failed) for c in committed),
            }
    return counts


def describe_run(
    run: dg.DagsterRun, batches: Sequence[str], counts: Mapping[str, Mapping[str, int]], error: str | None
) -> dict[str, Any]:
    """Make the notification of a finished run.

    Args:
        run: the run.
        batches: its batches.
        counts: result of `stage_counts`.
        error: why it failed; only the first line is sent.
    """
    lines = (error or "").strip().splitlines()
    return {
        # a sensor that was interrupted sends a notification again, which receivers recognize by its id
        "id": f"{run.run_id}:{run.status.value}",
        "run_id": run.run_id,
        "status": run.status.value.lower(),
        "job": run.job_name,
        "source": run.tags.get(SOURCE),
        "batches": list(batches),
        "error": redact_text(lines[0])[:ERROR_LENGTH] if lines else None,
        "will_retry": run.tags.get("dagster/will_retry") == "true",
        "stages": {stage: dict(numbers) for stage, numbers in counts.items()},
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def configured_webhook(settings: Settings) -> Webhook | None:
    """Return the webhook of the settings; None if they have none."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return Webhook(str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def _notify(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: Settings, error: str | None
) -> dg.SkipReason | None:
    webhook = configured_webhook(settings)
    if webhook is None:
        return None
    run = context.dagster_run
    batches = batches_in_run(run, list(context.instance.get_dynamic_partitions(BATCHES)))
    content = describe_run(run, batches, stage_counts(store.get(), batches), error)
    tries = send(webhook, content)
    context.log.info(json.dumps(content, ensure_ascii=False))
    # returning a result ends the tick: it must end within 60 s, and a webhook that is down can take most of that
    return dg.SkipReason(f"notified {webhook.host} of run {run.run_id} at attempt {tries}")


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Notifies the webhook of every failed run, with its error.",
)
def tell_of_failure(
    context: dg.RunFailureSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Notify the webhook of a failed run, with the error of its first failed step or of the run itself."""
    steps = context.get_step_failure_events()
    step_error = f"{steps[0].step_key}: {summarize_error(steps[0].step_failure_data.error)}" if steps else None
    return _notify(context, store, settings, step_error or context.failure_event.message)


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
    return _notify(context, store, settings, context.dagster_event.message)


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
    return (
        None
        if context.dagster_run.job_name in (TIDY_UP, UPDATE_STATISTICS)
        else _notify(context, store, settings, None)
    )
