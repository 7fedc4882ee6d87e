"""Inputs of the stages after ingest: the episodes of `raw_audio`, and their working audio."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from podcast_assets.audio.downmix import Downmix
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Pcm
from podcast_assets.stages.episode_names import name_tracks
from podcast_assets.stages.stage import Episode
from podcast_assets.store.store import Store

SPEECH_COLUMNS = ("segment_id", "start", "end", "speaker")
"""Columns of `diarized_segments` that transcription and scores depend on."""
SECONDS_IN_MEMORY = 3600.0
"""Longest audio that is held in memory, 115 MB. To decode an hour again takes half a second, and twenty hours would take 2.3 GB."""
NO_AUDIO = Pcm(np.empty(0, np.int16))
"""Audio of an episode without segments, of which nothing is read."""


def episodes(raw_audio: pl.DataFrame, inputs: Callable[[dict[str, Any]], dict[str, Any]]) -> list[Episode]:
    """List the ingested episodes of a batch, in its order.

    Args:
        raw_audio: table of the batch.
        inputs: gives, for a row, what the result depends on beside the audio.
    """
    return [
        Episode(
            row["episode_id"],
            row["source"],
            row["duration"],
            {
                "sha256": row["sha256"],
                "working": row["working"],
                # only where the audio differs from what earlier versions made: other episodes are not done again
                **({"downmix": row["downmix"]} if row["downmix"] else {}),
                **({"retimed": True} if row["retimed"] else {}),
                **inputs(row),
            },
        )
        for row in name_tracks(raw_audio.filter(status="done")).iter_rows(named=True)
    ]


def by_episode(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Split a table by `episode_id`."""
    return {str(k[0]): v for k, v in table.partition_by("episode_id", as_dict=True).items()}


def downmix_of(episode: Episode) -> Downmix:
    """Return the tracks and channels that the audio of an episode is made of."""
    return Downmix.from_row(episode.inputs.get("downmix"))


def noise() -> Pcm:
    """Two seconds of soft noise, for smoke tests."""
    return Pcm(np.random.default_rng(0).normal(0, 300, 2 * SAMPLE_RATE).astype(np.int16))


class WorkingAudioLost(RuntimeError):
    """The working audio of an episode is missing or damaged; ingest can make it again from the original."""


def read_audio(store: Store, episode: Episode) -> Audio:
    """Read the working audio of an episode: into memory, or block by block where it is needed if it is long.

    Raises:
        WorkingAudioLost: it is missing or damaged. Damaged audio is removed, so that ingest makes it again.
    """
    from podcast_assets.audio.errors import AudioError
    from podcast_assets.audio.working import read_working_audio
    from podcast_assets.audio.working_file import WorkingFile

    key = str(episode.inputs["working"])
    try:
        with store.local_copy(key) as path:
            return WorkingFile(path) if episode.seconds > SECONDS_IN_MEMORY else Pcm(read_working_audio(path))
    except (AudioError, FileNotFoundError) as error:
        why = "is missing"
        if isinstance(error, AudioError):
            why = str(error)
            store.remove(key)
        raise WorkingAudioLost(
            f"its working audio {store.path(key)} {why}: materialize raw_audio again to make it from the original"
        ) from error
