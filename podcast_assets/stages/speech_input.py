"""What the stages after ingest share: episodes from the table of `raw_audio`, and their working audio."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.speech.types import SAMPLE_RATE, Pcm
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store

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


class WorkingAudioLost(RuntimeError):
    """The working audio of an episode is gone or damaged. Its original is not: ingest makes it anew."""


def read_audio(store: Store, episode: Episode) -> Pcm:
    """Working audio of an episode, as the 16-bit samples that it is.

    Raises:
        WorkingAudioLost: it is gone, or was damaged and is removed now, so that ingest sees that it has to make it again.
    """
    from podcast_assets.audio.errors import AudioError
    from podcast_assets.audio.working import read_working_audio

    key = str(episode.inputs["working"])
    try:
        with store.local_copy(key) as path:
            return Pcm(read_working_audio(path))
    except (AudioError, FileNotFoundError) as error:
        why = str(error) if isinstance(error, AudioError) else "is gone"
        if isinstance(error, AudioError):
            store.remove(key)
        raise WorkingAudioLost(
            f"its working audio {store.path(key)} {why}: materialize raw_audio again, which makes it anew from the original"
        ) from error
