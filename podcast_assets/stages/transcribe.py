"""Stage `transcribe`: what is said in each segment."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.schema import TRANSCRIPTS, Columns
from podcast_assets.speech.types import Samples, Transcriber, Turn
from podcast_assets.stages.speech_input import read_audio
from podcast_assets.stages.stage import Episode
from podcast_assets.store import Store


@dataclass(frozen=True)
class Transcribe:
    """Working audio and segments → one row per segment with text and words; an empty text where nothing was recognized."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "transcribe"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = TRANSCRIPTS
    asset: ClassVar[str] = "transcripts"

    def load(self, device: str | None = None) -> Transcriber:
        """The engine's worker."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> Samples:
        """Working audio."""
        return read_audio(self.store, episode)

    def process(self, worker: Transcriber, episode: Episode, prepared: Samples) -> pl.DataFrame:
        """One row per segment."""
        segments: pl.DataFrame = episode.inputs["segments"]
        turns = [Turn(s, e, p) for s, e, p in segments.select("start", "end", "speaker").iter_rows()]
        transcripts = worker.transcribe(prepared, turns, language=episode.inputs["language"])
        rows = [
            {
                "segment_id": segment,
                "episode_id": episode.episode_id,
                "segment_index": index,
                "text": t.text,
                "language": t.language,
                "language_probability": t.language_probability,
                "words": [
                    {"word": w.word, "start": w.start, "end": w.end, "probability": w.probability} for w in t.words
                ],
                "avg_logprob": t.avg_logprob,
                "no_speech_prob": t.no_speech_prob,
                "compression_ratio": t.compression_ratio,
            }
            for index, (segment, t) in enumerate(zip(segments["segment_id"], transcripts, strict=True))
        ]
        kept = [k for k in TRANSCRIPTS if k not in ("engine", "degraded", "fingerprint")]
        return pl.DataFrame(rows, schema={k: TRANSCRIPTS[k][0] for k in kept})
