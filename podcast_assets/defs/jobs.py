"""The job that takes a batch all the way, and the names of jobs that others refer to."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import OPTIONAL
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.store.stage_names import OPTIONAL_STAGES

JOB = "podcast_dataset"
TIDY_UP = "tidy_up"


def podcast_dataset(settings: Settings) -> AssetJob:
    """The job with its longest time, which all of its runs have: of the sensor, a schedule, the launchpad, `dagster job launch`."""
    return dg.define_asset_job(
        JOB,
        selection=batch_selection(settings),
        executor_def=dg.in_process_executor,
        # `tags` without `run_tags` are both: beside `run_tags` they would stay on the job, and `dagster job launch` reads only them
        tags={MAX_RUNTIME: run_tags("command", settings)[MAX_RUNTIME]},
        description="A batch, from what arrived to sealed shards. To run it again is to resume it.",
    )


def batch_selection(settings: Settings) -> dg.AssetSelection:
    """The assets that take a batch all the way: of the optional ones, those that the settings ask for."""
    asked_for = {
        "second_opinions": settings.second_transcriber is not None,
        "punctuated_texts": "punctuation" in (name.strip() for name in settings.text_care.split(",")),
        "episode_shards": settings.whole_episodes,
    }
    selection = dg.AssetSelection.groups("intake", "speech", "quality", "dataset")
    for asset in OPTIONAL_STAGES:
        if not asked_for[asset]:
            selection -= dg.AssetSelection.tag(OPTIONAL, asset)
    return selection
