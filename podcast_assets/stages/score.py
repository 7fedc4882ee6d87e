"""Stage `score`: how good each segment sounds."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.quality.protocol import Scorer
from podcast_assets.schema import QUALITY_SCORES, Columns
from podcast_assets.speech.types import Pcm
from podcast_assets.stages.speech_input import noise, read_audio
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store import Store

_KEY = ["segment_id", "episode_id", "segment_index"]
_SIGNAL = (
    "dnsmos_sig dnsmos_bak dnsmos_ovrl dnsmos_p808 snr_db clipping_share peak_db rms_db loudness_lufs bandwidth_hz"
).split()


@dataclass(frozen=True)
class Score(OneByOne):
    """Working audio and segments → scores of the signal."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "score"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = {k: QUALITY_SCORES[k] for k in [*_KEY, *_SIGNAL, "engine", "degraded", "fingerprint"]}
    asset: ClassVar[str] = "quality_scores"

    def load(self, device: str | None = None) -> Scorer:
        """The engine's worker."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> Pcm:
        """Working audio."""
        return read_audio(self.store, episode)

    def smoke_test(self, worker: Scorer) -> None:
        """Score noise."""
        worker.score(noise(), [(0.0, 2.0)])

    def process(self, worker: Scorer, episode: Episode, prepared: Pcm) -> pl.DataFrame:
        """One row per segment; a score that does not exist for a segment (too short, silent) is null."""
        segments: pl.DataFrame = episode.inputs["segments"]
        spans = list(segments.select("start", "end").iter_rows())
        scores = worker.score(prepared, spans)
        rows = [
            {
                "segment_id": segment,
                "episode_id": episode.episode_id,
                "segment_index": index,
                **{name: score.get(name) for name in _SIGNAL},
            }
            for index, (segment, score) in enumerate(zip(segments["segment_id"], scores, strict=True))
        ]
        return pl.DataFrame(rows, schema={k: self.columns[k][0] for k in [*_KEY, *_SIGNAL]})
