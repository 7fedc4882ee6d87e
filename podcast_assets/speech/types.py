"""Data types that the speech engines and the stages exchange."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Rate in Hz of the audio that every speech engine gets."""

UNTRANSCRIBED = "untranscribed"
"""Flag of a turn that no engine could do, or not all of it."""
LANGUAGE_DIFFERS = "language_differs"
"""Flag of a turn that sounds like another language than the one that it was decoded in."""
WORDS_OUTSIDE = "words_outside"
"""Flag of a turn whose words the recognizer placed outside of it, a fifth of them or more."""

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
    """Label, valid inside the episode; None where nobody could say."""
    overlap: float = 0.0
    """Share of the turn, 0 to 1, in which somebody else speaks too; 0 from engines that do not model overlap."""


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
    """Temperature of the decoding that was taken; above 0 where a colder one gave loops or doubts."""
    engine: str | None = None
    """The engine that made it, where several took part."""
    flags: Sequence[str] = ()
    """What readers must know of it: see `podcast_assets.store.schema.FLAGS`."""


@dataclass(frozen=True, slots=True)
class EpisodeSpeech:
    """Input of a transcriber: the audio and turns of one episode."""

    episode: str
    """The name that people know it by."""
    audio: Audio
    turns: Sequence[Turn]
    """In order of their start."""
    language: str | None = None
    """ISO 639-1 code if it is known, else the engine identifies it."""
    hints: str | None = None
    """Names and terms that are likely to be said, from the episode's metadata."""


@dataclass(frozen=True, slots=True)
class TranscriptionResult:
    """Result of transcribing one episode."""

    speech: EpisodeSpeech
    transcripts: Sequence[Transcript] | Exception
    """One per turn, in the same order, an empty text where nothing was recognized; or why the episode could not be done."""
    fallback: str | None = None
    """Which engines failed, with what, and which took over, for people; None where the first did it."""


class Diarizer(Protocol):
    """Protocol of a diarizer: finds who speaks when."""

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Diarize an episode. One without speech has no turns; bounds that are None are left to the engine's settings."""
        ...


class Transcriber(Protocol):
    """Protocol of a transcriber: transcribes given turns."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Transcribe episodes, yielding each as soon as it is done, in any order.

        Takes as many episodes ahead as fill its batches, and no more. An error of one episode is its result and takes no
        other down; an error that is raised concerns every episode that was taken and not given back.
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
