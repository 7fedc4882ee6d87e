"""The sensor that publishes what reviewers decide."""

import datetime
import json

import dagster as dg

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.review_decisions import PUBLISH_REVIEWS
from podcast_assets.defs.partitions import UNFINISHED
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.tags import run_tags


@dg.sensor(
    name="new_decisions",
    job_name=PUBLISH_REVIEWS,
    # what is decided is in the store within a minute: half of it until a tick, and the rest for the run
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Publishes what reviewers decided, and carries out the takedowns that they asked for.",
)
def new_decisions(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Ask the catalog whether anything was decided since the last run."""
    from podcast_assets.catalog.connection import is_in_use

    if not is_in_use(settings):
        return dg.SkipReason("there is no catalog, so nobody reviews")
    if paused := skip_while_paused(context.instance):
        return paused
    try:
        current = _state(settings, store)
    except Misconfigured as error:
        return dg.SkipReason(f"the catalog was not asked: {error}")
    if context.cursor == current:
        return dg.SkipReason("nothing was decided since the last run")
    if context.instance.get_runs(dg.RunsFilter(job_name=PUBLISH_REVIEWS, statuses=UNFINISHED), limit=1):
        return dg.SkipReason("a run that publishes reviews is queued or running")
    context.update_cursor(current)
    return dg.RunRequest(tags=run_tags("review", settings))


def _state(settings: Settings, store: StoreResource) -> str:
    """Describe all decisions and the takedowns that are due. What cannot be taken down is tried again every hour."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review.publish import decisions_digest
    from podcast_assets.review.takedown_requests import pending_takedowns

    with open_catalog(settings, leave=False) as engine:
        due = [str(requested.decision_id) for requested in pending_takedowns(engine, store.get())]
        hour = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H}" if due else None
        return json.dumps([decisions_digest(engine), due, hour])
