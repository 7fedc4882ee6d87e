"""Stage `diarize`: who speaks when."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.schema import SEGMENTS, Columns
from podcast_assets.speech.types import Diarizer, Samples
from podcast_assets.stages.speech_input import read_audio
from podcast_assets.stages.stage import Episode
from podcast_assets.store import Store


@dataclass(frozen=True)
class Diarize:
    """Working audio → segments with speakers."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "diarize"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = SEGMENTS
    asset: ClassVar[str] = "diarized_segments"

    def load(self, device: str | None = None) -> Diarizer:
        """The engine's worker."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> Samples:
        """Working audio."""
        return read_audio(self.store, episode)

    def process(self, worker: Diarizer, episode: Episode, prepared: Samples) -> pl.DataFrame:
        """One row per turn. Times are rounded to milliseconds, so that an id and the audio cut for it are the same stretch."""
        turns = worker.diarize(
            prepared,
            min_speakers=episode.inputs["min_speakers"],
            max_speakers=episode.inputs["max_speakers"],
        )
        rows = [
            {
                "segment_id": segment_id(episode.episode_id, start, end),
                "episode_id": episode.episode_id,
                "segment_index": index,
                "start": start,
                "end": end,
                "duration": round(end - start, 3),
                "speaker": speaker,
                "overlap": overlap,
            }
            for index, (start, end, speaker, overlap) in enumerate(
                (round(t.start, 3), round(min(t.end, episode.seconds), 3), t.speaker, t.overlap) for t in turns
            )
        ]
        kept = [k for k in SEGMENTS if k not in ("engine", "degraded", "fingerprint")]
        return pl.DataFrame(rows, schema={k: SEGMENTS[k][0] for k in kept})


def segment_id(episode_id: str, start: float, end: float) -> str:
    """Sample key of a segment; times in seconds."""
    return f"{episode_id}-{round(start * 1000):09d}-{round(end * 1000):09d}"
