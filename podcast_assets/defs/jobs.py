"""The job that takes a batch all the way, and the names of jobs that others refer to."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags

JOB = "podcast_dataset"
TIDY_UP = "tidy_up"


def podcast_dataset(settings: Settings) -> AssetJob:
    """The job with its longest time, which all of its runs have: of the sensor, a schedule, the launchpad, `dagster job launch`."""
    return dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.groups("intake", "speech", "quality", "dataset"),
        executor_def=dg.in_process_executor,
        # `tags` without `run_tags` are both: beside `run_tags` they would stay on the job, and `dagster job launch` reads only them
        tags={MAX_RUNTIME: run_tags("command", settings)[MAX_RUNTIME]},
        description="A batch, from what arrived to sealed shards. To run it again is to resume it.",
    )
