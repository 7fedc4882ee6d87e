"""Telling of every run that Dagster's daemon started and that ended: sensors that post to the webhook of the settings."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from podcast_assets.config.settings import Settings
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
"""Characters of an error that are told: it is one line in a chat, the run has the rest."""


def stage_counts(store: Store, batches: Sequence[str]) -> dict[str, dict[str, int]]:
    """Stage → how many episodes of the batches are committed as done and as failed; stages that committed nothing are missing."""
    counts: dict[str, dict[str, int]] = {}
    for asset in ASSETS:
        committed = [c for c in (CommittedTable.read(store, asset, b) for b in batches) if c.table is not None]
        if committed:
            counts[STAGES[asset]] = {
                "done": sum(len(c.fingerprints) for c in committed),
                "failed": sum(len(c.failed) for c in committed),
            }
    return counts


def ended_run(
    run: dg.DagsterRun, batches: Sequence[str], counts: Mapping[str, Mapping[str, int]], error: str | None
) -> dict[str, Any]:
    """What is told of a run that ended.

    Args:
        run: the run.
        batches: its batches.
        counts: of `stage_counts`.
        error: what ended it; its first line is told.
    """
    lines = (error or "").strip().splitlines()
    return {
        # a run is told of again where the sensor is cut off: receivers know it by this
        "id": f"{run.run_id}:{run.status.value}",
        "run_id": run.run_id,
        "status": run.status.value.lower(),
        "job": run.job_name,
        "source": run.tags.get(SOURCE),
        "batches": list(batches),
        "error": lines[0][:ERROR_LENGTH] if lines else None,
        "will_retry": run.tags.get("dagster/will_retry") == "true",
        "stages": {stage: dict(numbers) for stage, numbers in counts.items()},
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def webhook_of(settings: Settings) -> Webhook | None:
    """The webhook of the settings, if there is one."""
    if settings.webhook_url is None or settings.webhook_secret is None:
        return None
    return Webhook(str(settings.webhook_url), settings.webhook_secret.get_secret_value())


def _tell(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: Settings, error: str | None
) -> dg.SkipReason | None:
    webhook = webhook_of(settings)
    if webhook is None:
        return None
    run = context.dagster_run
    batches = batches_in_run(run, list(context.instance.get_dynamic_partitions(BATCHES)))
    content = ended_run(run, batches, stage_counts(store.get(), batches), error)
    tries = send(webhook, content)
    context.log.info(json.dumps(content, ensure_ascii=False))
    # a result ends the tick: each has 60 s, and a webhook that is down takes most of them
    return dg.SkipReason(f"told {webhook.host} of run {run.run_id} at try {tries}")


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Tells the webhook of the settings of every run that failed, and why.",
)
def tell_of_failure(
    context: dg.RunFailureSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """The first failed step with its error, where one failed; else what ended the run."""
    steps = context.get_step_failure_events()
    own = f"{steps[0].step_key}: {summarize_error(steps[0].step_failure_data.error)}" if steps else None
    return _tell(context, store, settings, own or context.failure_event.message)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
    description="Tells the webhook of the settings of every run that is done, and how many episodes it did.",
)
def tell_of_success(
    context: dg.RunStatusSensorContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason | None:
    """Counts of what is committed. That the janitor was there is no news."""
    return None if context.dagster_run.job_name == TIDY_UP else _tell(context, store, settings, None)
