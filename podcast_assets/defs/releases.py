"""The job that releases the dataset, its schedule, and a sensor that starts it once enough is sealed."""

import datetime
import hashlib
import json

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.partitions import UNFINISHED
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.resources import ReleaseResource, StoreResource
from podcast_assets.defs.run_schedule import run_on_schedule
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.intake.feeds import subscriptions
from podcast_assets.store.store import Store

RELEASE = "release_dataset"
_WATCHED = ("tables/hf_shards", "tables/episode_shards", "takedowns", "rights")
"""Folders of the store that determine what can be released. The lists of feeds do too: they record publishers' consent.

Reviews wait for the next release, because people decide every minute, and a release may be public.
"""


def release_dataset(settings: Settings) -> AssetJob:
    """Define the job that materializes `hf_dataset`."""
    return dg.define_asset_job(
        RELEASE,
        selection=dg.AssetSelection.groups("release"),
        executor_def=dg.in_process_executor,
        tags={MAX_RUNTIME: run_tags("command", settings)[MAX_RUNTIME]},
        description="Releases all sealed data that may be published. Run it again to resume it.",
    )


def nightly_release(settings: Settings) -> dg.ScheduleDefinition:
    """Define the nightly schedule of releases, which is off by default because a release may be public."""
    return run_on_schedule(
        settings,
        name="nightly_release",
        job=RELEASE,
        cron=settings.release_cron,
        kind="release",
        description="Releases all sealed data that may be published.",
        running=False,
    )


@dg.sensor(
    name="enough_sealed",
    job_name=RELEASE,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Requests a release once PODCAST_RELEASE_BYTES of unreleased data are sealed, or published data must be removed.",
)
def enough_sealed(
    context: dg.SensorEvaluationContext,
    store: StoreResource,
    releases: ReleaseResource,
    settings: dg.ResourceParam[Settings],
) -> dg.RunRequest | dg.SkipReason:
    """Check the store, and the published dataset only if the store has changed."""
    if paused := skip_while_paused(context.instance):
        return paused
    if settings.release_bytes is None:
        return dg.SkipReason("PODCAST_RELEASE_BYTES is not set")
    opened = store.get()
    current = signature(opened, releases)
    if context.cursor == current:
        return dg.SkipReason("nothing has changed since the last check, which found too little to release")
    if context.instance.get_runs(dg.RunsFilter(job_name=RELEASE, statuses=UNFINISHED), limit=1):
        return dg.SkipReason("a release is queued or running")
    from podcast_assets.release.options import release_options
    from podcast_assets.release.release import preview
    from podcast_assets.release.targets.choose import choose_target
    from podcast_assets.release.targets.hub_history import unpurged_objects

    release_settings = releases.settings()
    target, options = choose_target(release_settings, opened), release_options(release_settings)
    planned = preview(opened, target, options)
    unpurged = options.purge_history and target.repo is not None and bool(unpurged_objects(opened, target.repo))
    if planned.anew or planned.removed or unpurged:
        # a takedown that fails is tried again every hour, even if the store does not change
        return dg.RunRequest(run_key=f"release:{current}:{_hour()}", tags=run_tags("release", settings))
    if planned.tables or (planned.new and planned.bytes >= settings.release_bytes):
        # one release per state of the store
        return dg.RunRequest(run_key=f"release:{current}", tags=run_tags("release", settings))
    context.update_cursor(current)
    return dg.SkipReason(f"{planned.bytes:,} of {settings.release_bytes:,} bytes are sealed and not released")


def signature(store: Store, releases: ReleaseResource) -> str:
    """Hash of everything that determines what can be released."""
    files = sorted((e.key, e.bytes, e.modified) for folder in _WATCHED for e in store.list(folder))
    state = [files, subscriptions.lists_signature(store), releases.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(state, default=str).encode()).hexdigest()[:32]


def _hour() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H}"
