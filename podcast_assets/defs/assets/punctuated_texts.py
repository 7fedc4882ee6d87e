"""Asset `punctuated_texts`, optional."""

import dagster as dg
import polars as pl

from podcast_assets.defs.assets.batches import BatchResult, batch_asset, materialize_batches, upstream
from podcast_assets.defs.assets.optional import run_optional_stage, skip_unrequested
from podcast_assets.defs.assets.transcripts import transcripts
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.punctuate import TEXT_COLUMNS, Punctuate
from podcast_assets.stages.speech_input import by_episode
from podcast_assets.stages.stage import Episode


@batch_asset(
    deps=[transcripts],
    group="quality",
    kinds={"parquet", "polars"},
    stages=[Punctuate],
    code_version=Punctuate.version,
)
def punctuated_texts(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment: its text with punctuation and capitals.

    Optional: made if `PODCAST_TEXT_CARE` includes `punctuation`. An episode that fails has no rows and is scored without them.
    """
    opened_store, settings, profile = store.get(), pipeline.settings(), pipeline.selected_profile()
    engine = Punctuate.engine_of(profile)
    if engine is None:
        return skip_unrequested(context, store, "PODCAST_TEXT_CARE=punctuation")
    stage = Punctuate(engine)

    def work(batch: str) -> BatchResult:
        audio, texts = (upstream(opened_store, asset, batch).rows for asset in ("raw_audio", "transcripts"))
        todo = episodes_to_punctuate(audio, texts)
        shown = ["segment_id", "engine"]
        return run_optional_stage(context, settings, stage, batch, todo, opened_store, compute, columns=shown)

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)


def episodes_to_punctuate(raw_audio: pl.DataFrame, transcripts: pl.DataFrame) -> list[Episode]:
    """Return the work items of the episodes that have transcripts, with their texts."""
    texts = by_episode(transcripts.select("episode_id", *TEXT_COLUMNS))
    return [
        Episode(
            row["episode_id"], row["source"], row["duration"], {"texts": texts[row["episode_id"]].drop("episode_id")}
        )
        for row in raw_audio.filter(status="done").iter_rows(named=True)
        if row["episode_id"] in texts
    ]
