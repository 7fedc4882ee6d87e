"""The table `punctuated_texts`, which `quality_scores` makes first where PODCAST_TEXT_CARE asks for punctuation."""

import dagster as dg
import polars as pl

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import do_stage
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.punctuate import TEXT_COLUMNS, Punctuate
from podcast_assets.stages.runner import NothingDone
from podcast_assets.stages.speech_input import by_episode
from podcast_assets.stages.stage import Episode
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store


def punctuate(context: dg.AssetExecutionContext, room: Store, settings: Settings, engine: Engine) -> None:
    """Punctuate the texts of a run's batches, before the scorer takes the device.

    An episode that cannot be done has no such texts, and its scores are made all the same.
    """
    stage = Punctuate(engine)
    with computing(stage, settings) as compute:
        for batch in sorted(context.partition_keys):
            with room.batch_lock(batch):
                audio, texts = (CommittedTable.read(room, asset, batch).table for asset in ("raw_audio", "transcripts"))
                if audio is None or texts is None:
                    continue  # told by the asset itself, with what else is wrong there
                try:
                    run = do_stage(context, settings, stage, batch, to_punctuate(audio, texts), room, compute)
                except NothingDone as error:
                    context.log.warning(f"{batch}: no punctuation: {error}")
                    continue
                run.commit(room, run.table())
                if run.failures.height:
                    names = ", ".join(run.failures["source"].to_list()[:20])
                    context.log.warning(f"{batch}: no punctuation of {run.failures.height} episodes: {names}")


def to_punctuate(raw_audio: pl.DataFrame, transcripts: pl.DataFrame) -> list[Episode]:
    """The episodes that have texts, with these."""
    texts = by_episode(transcripts.select("episode_id", *TEXT_COLUMNS))
    return [
        Episode(
            row["episode_id"], row["source"], row["duration"], {"texts": texts[row["episode_id"]].drop("episode_id")}
        )
        for row in raw_audio.filter(status="done").iter_rows(named=True)
        if row["episode_id"] in texts
    ]
