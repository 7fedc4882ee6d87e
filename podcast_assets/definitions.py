"""The front door: what Dagster loads. Nothing heavy is imported here, so it loads without any ML package."""

import dagster as dg

from podcast_assets.alerts import tell_of_failure, tell_of_success
from podcast_assets.assets.diarized_segments import diarized_segments
from podcast_assets.assets.hf_dataset import hf_dataset
from podcast_assets.assets.hf_shards import hf_shards
from podcast_assets.assets.quality_scores import quality_scores
from podcast_assets.assets.raw_audio import raw_audio
from podcast_assets.assets.transcripts import transcripts
from podcast_assets.dagster_internals import sleep_while_waiting_for_a_pool
from podcast_assets.feed_sensor import due_feeds
from podcast_assets.janitor import tidy_up
from podcast_assets.jobs import podcast_dataset
from podcast_assets.log_lines import log_json_lines
from podcast_assets.loggers import console_logger, terminal_logger
from podcast_assets.release_job import enough_sealed, nightly_release, release_dataset
from podcast_assets.resources import PipelineResource, ReleaseResource, StoreResource
from podcast_assets.schedules import hourly_janitor, nightly_retry
from podcast_assets.sensors import new_batches
from podcast_assets.settings import Settings


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Everything that this project defines, for the settings given (by default those of the environment)."""
    settings = settings or Settings()
    if settings.log_format == "json":
        log_json_lines()
    sleep_while_waiting_for_a_pool()
    return dg.Definitions(
        assets=[raw_audio, diarized_segments, transcripts, quality_scores, hf_shards, hf_dataset],
        jobs=[podcast_dataset(settings), release_dataset(settings), tidy_up],
        schedules=[nightly_retry(settings), hourly_janitor(settings), nightly_release(settings)],
        sensors=[new_batches, due_feeds, enough_sealed, tell_of_failure, tell_of_success],
        resources={
            "store": StoreResource(root=settings.store),
            "pipeline": PipelineResource.of(settings),
            "releases": ReleaseResource.of(settings),
        },
        loggers={"console": console_logger(settings), "terminal": terminal_logger(settings)},
        # one process loads a model once; a process per step would load it, and Dagster, five times
        executor=dg.in_process_executor,
    )


defs = build_definitions()
