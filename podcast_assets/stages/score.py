"""Stage `score`: how good each segment sounds."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.quality.protocol import SIGNAL_SCORES, Scorer, Scores
from podcast_assets.speech.types import SAMPLE_RATE, Pcm
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.speech_input import noise, read_audio
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import QUALITY_SCORES, Columns
from podcast_assets.store.store import Store

_KEY = ["segment_id", "episode_id", "segment_index"]
_MORE = "more_scores"


@dataclass(frozen=True, slots=True)
class Measured:
    """An episode with what needs no model."""

    audio: Pcm
    measures: list[Scores]
    """Of each segment."""


@dataclass(frozen=True)
class Score(OneByOne):
    """Working audio, original and segments → scores of the signal."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "score"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = {
        k: QUALITY_SCORES[k] for k in [*_KEY, *SIGNAL_SCORES, _MORE, "engine", "degraded", "fingerprint"]
    }
    asset: ClassVar[str] = "quality_scores"

    @staticmethod
    def engine_of(profile: Profile) -> Engine:
        """The scorer, or several as one."""
        return profile.scorer

    def load(self, device: str | None = None) -> Scorer:
        """The engine's worker."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> Measured:
        """Decode the working audio and, for its bandwidth, the original; measure, in the prefetch threads."""
        from podcast_assets.audio.cut import cut_segments
        from podcast_assets.quality.signal import bandwidth_hz, signal_measures
        from podcast_assets.quality.speech_share import speech_shares

        audio, spans = read_audio(self.store, episode), _spans(episode)
        measures = [signal_measures(audio[_at(start) : _at(end)], SAMPLE_RATE) for start, end in spans]
        rate = int(episode.inputs["sample_rate"])
        with self.store.local_copy(str(episode.inputs["original"])) as original:
            for measured, samples, speech in zip(
                measures, cut_segments(original, spans), speech_shares(audio, spans), strict=True
            ):
                measured |= {"source_bandwidth_hz": bandwidth_hz(samples, rate), "speech_share": speech}
        return Measured(audio, measures)

    def smoke_test(self, worker: Scorer) -> None:
        """Score noise."""
        worker.score(noise(), [(0.0, 2.0)])

    def process(self, worker: Scorer, episode: Episode, prepared: Measured) -> pl.DataFrame:
        """One row per segment; a score that does not exist for a segment (too short, silent) is null."""
        segments: pl.DataFrame = episode.inputs["segments"]
        scored = worker.score(prepared.audio, _spans(episode))
        rows = []
        for index, (segment, measured, found) in enumerate(
            zip(segments["segment_id"], prepared.measures, scored, strict=True)
        ):
            all_of_it = measured | found
            rows.append(
                {
                    "segment_id": segment,
                    "episode_id": episode.episode_id,
                    "segment_index": index,
                    **{name: all_of_it.get(name) for name in SIGNAL_SCORES},
                    _MORE: [{"name": k, "value": v} for k, v in sorted(all_of_it.items()) if k not in SIGNAL_SCORES],
                }
            )
        return pl.DataFrame(rows, schema={k: self.columns[k][0] for k in [*_KEY, *SIGNAL_SCORES, _MORE]})


def _spans(episode: Episode) -> list[tuple[float, float]]:
    return list(episode.inputs["segments"].select("start", "end").iter_rows())


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
