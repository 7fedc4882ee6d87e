"""What starts releases: the job, a schedule, and a sensor that waits until enough is sealed."""

import datetime
import hashlib
import json

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.partitions import UNFINISHED
from podcast_assets.defs.resources import ReleaseResource, StoreResource
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.intake.feeds import subscriptions
from podcast_assets.store.store import Store

RELEASE = "release_dataset"
_WATCHED = ("tables/hf_shards", "tables/episode_shards", "takedowns", "rights")
"""Folders of the store that say what could be released, with the lists of feeds: in them publishers agree or do not."""


def release_dataset(settings: Settings) -> AssetJob:
    """The job with the one asset that publishes."""
    return dg.define_asset_job(
        RELEASE,
        selection=dg.AssetSelection.groups("release"),
        executor_def=dg.in_process_executor,
        tags={MAX_RUNTIME: run_tags("command", settings)[MAX_RUNTIME]},
        description="All that is sealed and may be published, as one release. To run it again is to resume it.",
    )


def nightly_release(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule that releases what there is; off until somebody switches it on, as a release may be public."""

    @dg.schedule(
        name="nightly_release",
        job_name=RELEASE,
        cron_schedule=settings.release_cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Releases all that is sealed and may be published.",
    )
    def tick(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=run_tags("release", settings))

    return tick


@dg.sensor(
    name="enough_sealed",
    job_name=RELEASE,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Releases once PODCAST_RELEASE_BYTES are sealed and not released, or something published has to go.",
)
def enough_sealed(
    context: dg.SensorEvaluationContext,
    store: StoreResource,
    releases: ReleaseResource,
    settings: dg.ResourceParam[Settings],
) -> dg.RunRequest | dg.SkipReason:
    """Look at the store; only where something has changed there, at the dataset too."""
    if settings.release_bytes is None:
        return dg.SkipReason("PODCAST_RELEASE_BYTES is not set")
    room = store.get()
    seen = signature(room, releases)
    if context.cursor == seen:
        return dg.SkipReason("nothing has changed since it was too little to release")
    if context.instance.get_runs(dg.RunsFilter(job_name=RELEASE, statuses=UNFINISHED), limit=1):
        return dg.SkipReason("a release goes on")
    from podcast_assets.release.options import release_options
    from podcast_assets.release.release import preview
    from podcast_assets.release.targets.choose import choose_target
    from podcast_assets.release.targets.hub_history import unpurged_objects

    chosen = releases.settings()
    target, options = choose_target(chosen, room), release_options(chosen)
    would = preview(room, target, options)
    left = options.purge_history and target.repo is not None and bool(unpurged_objects(room, target.repo))
    if would.anew or would.removed or left:
        # one that fails is begun again, but not every few minutes: what was taken down does not wait for the store to change
        return dg.RunRequest(run_key=f"release:{seen}:{_hour()}", tags=run_tags("release", settings))
    if would.tables or (would.new and would.bytes >= settings.release_bytes):
        # of one state of the store one release
        return dg.RunRequest(run_key=f"release:{seen}", tags=run_tags("release", settings))
    context.update_cursor(seen)
    return dg.SkipReason(f"{would.bytes:,} of {settings.release_bytes:,} bytes are sealed and not released")


def signature(store: Store, releases: ReleaseResource) -> str:
    """Another one whenever what could be released may be something else."""
    files = sorted((e.key, e.bytes, e.modified) for folder in _WATCHED for e in store.list(folder))
    state = [files, subscriptions.lists_signature(store), releases.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(state, default=str).encode()).hexdigest()[:32]


def _hour() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H}"
