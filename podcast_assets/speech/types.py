"""What travels between the speech engines and the stages: small values with units, no behaviour."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
"""Rate in Hz of the audio that every speech engine gets."""

Samples = npt.NDArray[np.float32]
"""Mono audio, shape (n,), float32 in [-1, 1], at SAMPLE_RATE."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch of one speaker. Times in seconds from the start of the episode."""

    start: float
    end: float
    speaker: str
    overlap: float = 0.0
    """Share of the turn, 0 to 1, in which somebody else speaks too; 0 from engines that do not model overlap."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Times in seconds from the start of the episode; None where an engine could not place the word."""

    word: str
    start: float | None
    end: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in one turn. Figures that an engine does not give are None, never invented."""

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


class Diarizer(Protocol):
    """Says who speaks when."""

    def diarize(
        self, audio: Samples, *, min_speakers: int | None = None, max_speakers: int | None = None
    ) -> list[Turn]:
        """Turns in order of their start. An episode without speech gives an empty list."""
        ...


class Transcriber(Protocol):
    """Says what is said in given turns."""

    def transcribe(self, audio: Samples, turns: Sequence[Turn], *, language: str | None = None) -> list[Transcript]:
        """One transcript per turn, in the same order; an empty text where nothing was recognized.

        `language` is the ISO 639-1 code if it is known, else the engine identifies it.
        """
        ...
