"""The job that processes a batch, and the names of jobs."""

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets import catalog
from podcast_assets.defs.assets.batches import OPTIONAL
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.store.stage_names import OPTIONAL_STAGES

JOB = "podcast_dataset"
TIDY_UP = "tidy_up"


def podcast_dataset(settings: Settings) -> AssetJob:
    """Define the job that processes a batch. Its maximum duration applies to every run, however it is started."""
    return dg.define_asset_job(
        JOB,
        selection=batch_selection(settings),
        executor_def=dg.in_process_executor,
        # without `run_tags`, runs get these tags too; `dagster job launch` reads only `tags`
        tags={MAX_RUNTIME: run_tags("command", settings)[MAX_RUNTIME]},
        description="Processes a batch from its arrival to sealed shards. Run it again to resume it.",
    )


def batch_selection(settings: Settings) -> dg.AssetSelection:
    """Select the assets that process a batch, including the optional ones that the settings enable."""
    enabled = {
        "second_opinions": settings.second_transcriber is not None,
        "punctuated_texts": "punctuation" in (name.strip() for name in settings.text_care.split(",")),
        "episode_shards": settings.whole_episodes,
    }
    selection = dg.AssetSelection.groups("intake", "speech", "quality", "dataset")
    for asset in OPTIONAL_STAGES:
        if not enabled[asset]:
            selection -= dg.AssetSelection.tag(OPTIONAL, asset)
    return selection | dg.AssetSelection.groups(catalog.GROUP) if settings.catalog_enabled else selection
