"""Asset `second_opinions`, optional."""

from dataclasses import replace

import dagster as dg
import polars as pl

from podcast_assets.defs.assets.batches import BatchResult, batch_asset, materialize_batches, upstream
from podcast_assets.defs.assets.optional import run_optional_stage, skip_unrequested
from podcast_assets.defs.assets.transcripts import episodes_to_transcribe, transcripts
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.second_opinion import SecondOpinion
from podcast_assets.stages.stage import Episode
from podcast_assets.store.episode_records import Record
from podcast_assets.store.override_records import OVERRIDE_RECORDS


@batch_asset(
    deps=[transcripts],
    group="speech",
    kinds={"parquet", "polars"},
    stages=[SecondOpinion],
    code_version=SecondOpinion.version,
)
def second_opinions(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment: its text as transcribed by a second recognizer.

    Optional: made if `PODCAST_SECOND_TRANSCRIBER` is set. `quality_scores` compares these texts with the transcripts, which do not
    change. An episode that fails has no rows here.
    """
    opened_store, settings, profile = store.get(), pipeline.settings(), pipeline.selected_profile()
    engine = SecondOpinion.engine_of(profile)
    if engine is None:
        return skip_unrequested(context, store, "PODCAST_SECOND_TRANSCRIBER")
    stage = SecondOpinion(opened_store, engine)

    def languages_of(batch: str) -> dict[str, Record]:
        """Override records of a batch without their transcribers, which are those of the first opinion."""
        records = OVERRIDE_RECORDS.read_batch(opened_store, batch)
        return {episode: record | {"transcriber": None} for episode, record in records.items()}

    def work(batch: str) -> BatchResult:
        audio, diarized = (
            upstream(opened_store, "raw_audio", batch).rows,
            upstream(opened_store, "diarized_segments", batch),
        )
        texts = upstream(opened_store, "transcripts", batch).rows
        todo = _in_known_language(episodes_to_transcribe(audio, diarized, settings, languages_of(batch)), texts)
        shown = ["segment_id", "language", "engine"]
        return run_optional_stage(context, settings, stage, batch, todo, opened_store, compute, columns=shown)

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)


def _in_known_language(episodes: list[Episode], transcripts: pl.DataFrame) -> list[Episode]:
    """Fill in the language of episodes that declare none: the one in which most of their segments were transcribed."""
    most = transcripts.group_by("episode_id").agg(pl.col("language").drop_nulls().mode(maintain_order=True).first())
    known = dict(most.iter_rows())
    return [
        replace(e, inputs={**e.inputs, "language": e.inputs["language"] or known.get(e.episode_id)}) for e in episodes
    ]
