"""The front door: what Dagster loads. Nothing heavy is imported here, so it loads without any ML package."""

import dagster as dg

from podcast_assets.assets.diarized_segments import diarized_segments
from podcast_assets.assets.hf_shards import hf_shards
from podcast_assets.assets.quality_scores import quality_scores
from podcast_assets.assets.raw_audio import raw_audio
from podcast_assets.assets.transcripts import transcripts
from podcast_assets.jobs import podcast_dataset
from podcast_assets.loggers import terminal_logger
from podcast_assets.resources import PipelineResource, StoreResource
from podcast_assets.sensors import new_batches
from podcast_assets.settings import Settings


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """Everything that this project defines, for the settings given (by default those of the environment)."""
    settings = settings or Settings()
    return dg.Definitions(
        assets=[raw_audio, diarized_segments, transcripts, quality_scores, hf_shards],
        jobs=[podcast_dataset],
        sensors=[new_batches],
        resources={"store": StoreResource(root=settings.store), "pipeline": PipelineResource.of(settings)},
        loggers={"console": dg.colored_console_logger, "terminal": terminal_logger},
        # one process loads a model once; a process per step would load it, and Dagster, five times
        executor=dg.in_process_executor,
    )


defs = build_definitions()
