"""What the stages after ingest share: episodes from the table of `raw_audio`, and their working audio."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.speech.types import SAMPLE_RATE, Pcm
from podcast_assets.stages.stage import Episode
from podcast_assets.store import Store

SPEECH_COLUMNS = ("segment_id", "start", "end", "speaker")


def episodes(raw_audio: pl.DataFrame, inputs: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Episode]:
    """The episodes of a batch that ingest did, in its order; `inputs` says from a row what else the result depends on."""
    return [
        Episode(
            row["episode_id"],
            row["source"],
            row["duration"],
            {"sha256": row["sha256"], "working": row["working"], **inputs(row)},
        )
        for row in raw_audio.filter(status="done").iter_rows(named=True)
    ]


def by_episode(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The rows of each episode."""
    return {str(k[0]): v for k, v in table.partition_by("episode_id", as_dict=True).items()}


def noise() -> Pcm:
    """Two seconds of soft noise, for smoke tests."""
    return Pcm(np.random.default_rng(0).normal(0, 300, 2 * SAMPLE_RATE).astype(np.int16))


def read_audio(store: Store, episode: Episode) -> Pcm:
    """Working audio of an episode, as the 16-bit samples that it is."""
    from podcast_assets.audio.working import read_working

    with store.local_copy(str(episode.inputs["working"])) as path:
        return Pcm(read_working(path))
