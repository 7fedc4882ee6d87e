"""Stage `score`: the sound quality of each segment."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.quality.protocol import SIGNAL_SCORES, Scorer, Scores
from podcast_assets.speech.types import SAMPLE_RATE, Audio
from podcast_assets.stages.engine_stage import EngineStage
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.speech_input import NO_AUDIO, downmix_of, noise, read_audio
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import QUALITY_SCORES, Columns
from podcast_assets.store.store import Store

_KEY = ["segment_id", "episode_id", "segment_index"]
_MORE_SCORES = "more_scores"
"""Column of the scores that have no column of their own."""


@dataclass(frozen=True, slots=True)
class MeasuredEpisode:
    """An episode's audio, with the scores that need no model."""

    audio: Audio
    scores: list[Scores]
    """Of each segment."""


@dataclass(frozen=True)
class Score(EngineStage, OneByOne):
    """Working audio, original and segments → scores of the signal."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "score"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = {
        k: QUALITY_SCORES[k] for k in [*_KEY, *SIGNAL_SCORES, _MORE_SCORES, "engine", "degraded", "fingerprint"]
    }
    asset: ClassVar[str] = "quality_scores"

    @staticmethod
    def engine_of(profile: Profile) -> Engine:
        """The scorer, or several combined into one."""
        return profile.scorer

    def prepare(self, episode: Episode) -> MeasuredEpisode:
        """Decode the working audio and, for its bandwidth, the original; compute the scores that need no model."""
        from podcast_assets.audio.cut import cut_segments
        from podcast_assets.quality.signal import bandwidth_hz, signal_measures
        from podcast_assets.quality.speech_share import speech_shares

        spans = _spans(episode)
        if not spans:
            return MeasuredEpisode(NO_AUDIO, [])
        audio = read_audio(self.store, episode)
        scores = [signal_measures(audio[_index(start) : _index(end)], SAMPLE_RATE) for start, end in spans]
        rate = int(episode.inputs["sample_rate"])
        with self.store.local_copy(str(episode.inputs["original"])) as original:
            for segment, samples, share in zip(
                scores,
                cut_segments(original, spans, downmix=downmix_of(episode)),
                speech_shares(audio, spans),
                strict=True,
            ):
                segment |= {"source_bandwidth_hz": bandwidth_hz(samples, rate), "speech_share": share}
        return MeasuredEpisode(audio, scores)

    def smoke_test(self, worker: Scorer) -> None:
        """Score noise."""
        worker.score(noise(), [(0.0, 2.0)])

    def process(self, worker: Scorer, episode: Episode, prepared: MeasuredEpisode) -> pl.DataFrame:
        """One row per segment; a score that does not exist for a segment (too short, silent) is null."""
        segments: pl.DataFrame = episode.inputs["segments"]
        of_model = worker.score(prepared.audio, _spans(episode))
        rows = []
        for index, (segment_id, measured, scored) in enumerate(
            zip(segments["segment_id"], prepared.scores, of_model, strict=True)
        ):
            scores = measured | scored
            rows.append(
                {
                    "segment_id": segment_id,
                    "episode_id": episode.episode_id,
                    "segment_index": index,
                    **{name: scores.get(name) for name in SIGNAL_SCORES},
                    _MORE_SCORES: [
                        {"name": k, "value": v} for k, v in sorted(scores.items()) if k not in SIGNAL_SCORES
                    ],
                }
            )
        return pl.DataFrame(rows, schema={k: self.columns[k][0] for k in [*_KEY, *SIGNAL_SCORES, _MORE_SCORES]})


def _spans(episode: Episode) -> list[tuple[float, float]]:
    return list(episode.inputs["segments"].select("start", "end").iter_rows())


def _index(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
