"""Data types that the speech engines and the stages exchange."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Rate in Hz of the audio that every speech engine gets."""

UNTRANSCRIBED = "untranscribed"
"""Flag of a turn that could not be transcribed, or not completely."""
LANGUAGE_DIFFERS = "language_differs"
"""Flag of a turn whose detected language differs from the one that it was decoded in."""
WORDS_OUTSIDE = "words_outside"
"""Flag of a turn if the recognizer placed a fifth or more of its words outside the turn."""
UNCOVERED_SPEECH = "uncovered_speech"
"""Flag of a turn in which there is speech without words: see `podcast_assets.speech.coverage`."""

Attempt = Literal["alone", "timestamps", "pauses"]
"""How a turn is transcribed again: not packed with others, with timestamp tokens, or cut at its pauses."""

Samples = npt.NDArray[np.float32]
"""Mono audio, shape (n,), float32 in [-1, 1], at SAMPLE_RATE."""


class Audio(Protocol):
    """Mono audio at SAMPLE_RATE of which slices are `Samples`: an array, or `Pcm`, which takes half its memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Samples: ...


@dataclass(frozen=True, slots=True)
class Pcm:
    """Audio held as 16-bit samples, as the working audio is: three hours take 346 MB. A slice of it is float32."""

    pcm: npt.NDArray[np.int16]
    """Shape (n,)."""

    def __len__(self) -> int:
        return len(self.pcm)

    def __getitem__(self, part: slice) -> Samples:
        return self.pcm[part].astype(np.float32) / np.float32(32768)


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn of one speaker. Times in seconds from the start of the episode."""

    start: float
    end: float
    speaker: str | None
    """Label, valid inside the episode; None if unknown."""
    overlap: float = 0.0
    """Share of the turn, 0 to 1, in which another speaker speaks too; 0 from engines that do not model overlap."""


@dataclass(frozen=True, slots=True)
class Diarization:
    """Result of diarization: who speaks when."""

    turns: Sequence[Turn]
    """In order of their start, at most one speaker at a time: what is transcribed."""
    full: Sequence[Turn] | None = None
    """Every stretch of every speaker, overlapping where they speak at once; None from engines that do not model overlap."""
    embeddings: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Speaker → voice embedding, shape (d,); empty from engines that have none."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Times in seconds from the start of the episode; None where an engine could not place the word."""

    word: str
    start: float | None
    end: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """Transcript of one turn. Values that an engine does not give are None."""

    text: str
    words: Sequence[Word] = ()
    language: str | None = None
    """ISO 639-1 code."""
    language_probability: float | None = None
    avg_logprob: float | None = None
    """Mean log probability (natural) of the decoded tokens."""
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    """Length of the UTF-8 text over its zlib length; loops compress well (Whisper's own measure)."""
    temperature: float | None = None
    """Temperature of the chosen decoding; above 0 where lower ones gave repetitions or an unlikely text."""
    engine: str | None = None
    """Name of the engine; filled in by the router if None."""
    flags: Sequence[str] = ()
    """Warnings about the transcript: see `podcast_assets.store.schema.FLAGS`."""
    uncovered: float | None = None
    """Seconds of speech without words; None if that was not checked."""
    redone: Sequence[str] = ()
    """How the turn was transcribed again because a text fell short: each an `Attempt`, or the name of a fallback engine."""


@dataclass(frozen=True, slots=True)
class EpisodeSpeech:
    """Input of a transcriber: the audio and turns of one episode."""

    episode: str
    """Name of the episode in messages."""
    audio: Audio
    turns: Sequence[Turn]
    """In order of their start."""
    language: str | None = None
    """ISO 639-1 code; the engine identifies it if None."""
    hints: str | None = None
    """Names and terms that are likely to be said, from the episode's metadata."""
    timestamps: bool | None = None
    """Whether Whisper models decode with timestamp tokens; None leaves that to the engine's settings. Other engines ignore it."""
    around: Sequence[Turn] = ()
    """All turns of the episode, where `turns` are only some of them."""
    transcriber: str | None = None
    """Name of the chain of engines that was chosen for the episode (`RoutedEngine.chosen`); None for that of its language."""


@dataclass(frozen=True, slots=True)
class TranscriptionResult:
    """Result of transcribing one episode."""

    speech: EpisodeSpeech
    transcripts: Sequence[Transcript] | Exception
    """One per turn, in the same order, with an empty text where nothing was recognized; or the error of the episode."""
    fallback: str | None = None
    """Message about which engines failed and which took over; None if the first engine did everything."""


class Diarizer(Protocol):
    """Protocol of a diarizer: finds who speaks when.

    One whose attribute `thread_safe` is true diarizes several short episodes at once.
    """

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Diarize an episode. One without speech has no turns; bounds that are None are left to the engine's settings."""
        ...


class Transcriber(Protocol):
    """Protocol of a transcriber: transcribes given turns."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Transcribe episodes, yielding each as soon as it is done, in any order.

        Takes as many episodes ahead as fill its minibatches, and no more. An error of one episode is that episode's result
        and does not affect the others; an exception concerns every episode that was taken and not returned.
        """
        ...


def one_by_one(
    transcribe: Callable[[EpisodeSpeech], Sequence[Transcript]], work: Iterable[EpisodeSpeech]
) -> Iterator[TranscriptionResult]:
    """Implement `Transcriber.transcribe` for an engine that transcribes one episode at a time."""
    for speech in work:
        try:
            yield TranscriptionResult(speech, transcribe(speech))
        except Exception as error:
            yield TranscriptionResult(speech, error)
