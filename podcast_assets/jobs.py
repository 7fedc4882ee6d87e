"""The job that takes a batch all the way."""

import dagster as dg

JOB = "podcast_dataset"

podcast_dataset = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.groups("intake", "speech", "quality", "dataset"),
    executor_def=dg.in_process_executor,
    description="A batch, from what arrived to sealed shards. To run it again is to resume it.",
)
