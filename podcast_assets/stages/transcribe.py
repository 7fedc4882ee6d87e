"""Stage `transcribe`: what is said in each segment."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine, is_embedded
from podcast_assets.quality.text.measures import find_hallucinations
from podcast_assets.speech.routing import FALLBACK, TRANSCRIBER, RoutedEngine
from podcast_assets.speech.types import UNTRANSCRIBED, Audio, EpisodeSpeech, Transcriber, Transcript, Turn
from podcast_assets.stages.engine_stage import EngineStage
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.speech_input import NO_AUDIO, noise, read_audio
from podcast_assets.stages.stage import Episode, EpisodeResult, PreparedEpisode
from podcast_assets.store.schema import TRANSCRIPTS, Columns
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class Transcribe(EngineStage):
    """Working audio and segments → one row per segment with text and words; an empty text where nothing was recognized."""

    store: Store
    engine: Engine
    name: ClassVar[str] = "transcribe"
    version: ClassVar[str] = "5"
    columns: ClassVar[Columns] = {k: v for k, v in TRANSCRIPTS.items() if k != "text_language"}
    """All but the language identified from the texts, which the asset adds when it commits."""
    asset: ClassVar[str] = "transcripts"

    @staticmethod
    def engine_of(profile: Profile) -> Engine:
        """The transcriber, with its routes."""
        return profile.transcriber

    def load(self, device: str | None = None) -> Any:
        """Load the engine; where it has routes, texts that the text rules call hallucinated are done again."""
        if isinstance(self.engine, RoutedEngine):
            return self.engine.load(device, find_hallucinations)
        return super().load(device)

    def prepare(self, episode: Episode) -> Audio:
        """Read the working audio, unless there are no segments."""
        return NO_AUDIO if episode.inputs["segments"].is_empty() else read_audio(self.store, episode)

    def smoke_test(self, worker: Transcriber) -> None:
        """Transcribe noise."""
        for result in worker.transcribe([EpisodeSpeech("smoke test", noise(), [Turn(0.0, 2.0, None)], "en")]):
            if isinstance(result.transcripts, Exception):
                raise result.transcripts

    def process_all(self, worker: Transcriber, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """One row per segment. The worker fills its minibatches across episodes."""
        episodes: dict[str, Episode] = {}

        def speech() -> Iterator[EpisodeSpeech]:
            for ready in work:
                episodes[ready.episode.episode_id] = ready.episode
                yield to_speech(ready.episode, ready.prepared)

        for result in worker.transcribe(speech()):
            episode = episodes.pop(result.speech.episode)
            if isinstance(result.transcripts, Exception):
                yield EpisodeResult(episode, result.transcripts)
            else:
                yield EpisodeResult(episode, transcript_rows(episode, result.transcripts), result.fallback)


def to_speech(episode: Episode, audio: Audio) -> EpisodeSpeech:
    """Build the input of a transcriber."""
    segments: pl.DataFrame = episode.inputs["segments"]
    turns = [
        Turn(start, end, speaker) for start, end, speaker in segments.select("start", "end", "speaker").iter_rows()
    ]
    inputs = episode.inputs
    return EpisodeSpeech(
        episode.episode_id, audio, turns, inputs["language"], inputs["hints"], transcriber=inputs.get(TRANSCRIBER)
    )


def transcript_rows(episode: Episode, transcripts: Sequence[Transcript]) -> pl.DataFrame:
    """One row per segment."""
    segments: pl.DataFrame = episode.inputs["segments"]
    rows = [
        {
            "segment_id": segment,
            "episode_id": episode.episode_id,
            "segment_index": index,
            "text": t.text,
            "language": t.language,
            "language_probability": t.language_probability,
            "words": [{"word": w.word, "start": w.start, "end": w.end, "probability": w.probability} for w in t.words],
            "avg_logprob": t.avg_logprob,
            "no_speech_prob": t.no_speech_prob,
            "compression_ratio": t.compression_ratio,
            "temperature": t.temperature,
            "uncovered_speech": t.uncovered,
            "redone": list(t.redone),
            "flags": list(t.flags),
            "engine": t.engine,
            "degraded": _is_degraded(t),
        }
        for index, (segment, t) in enumerate(zip(segments["segment_id"], transcripts, strict=True))
    ]
    return pl.DataFrame(rows, schema={k: v for k, (v, _) in Transcribe.columns.items() if k != "fingerprint"})


def _is_degraded(transcript: Transcript) -> bool:
    """Whether an embedded engine or a fallback made it, or speech has no text."""
    if transcript.engine is not None and is_embedded("transcriber", transcript.engine):
        return True
    return not {FALLBACK, UNTRANSCRIBED}.isdisjoint(transcript.flags)
