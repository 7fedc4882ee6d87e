"""Normalized segments for all renderers: sorted by time, with valid times and single-line texts."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""A segment with its text: start, end (s), speaker, text, words. Any of them may be missing or null."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff]")
"""Characters that text formats cannot hold, or that readers take for a byte order mark."""
LONGEST = 100 * 3600 - 1.0
"""Longest time, s; SRT has two digits for hours."""


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """A word of a segment. Times in seconds from the start of the episode, None where it could not be placed."""

    word: str
    start: float | None
    end: float | None
    probability: float | None


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A segment. `0 <= start <= end`, in seconds."""

    start: float
    end: float
    speaker: str | None
    text: str
    words: tuple[TranscriptWord, ...]


@dataclass(frozen=True, slots=True)
class TranscriptSegments:
    """Segments of an episode, original and normalized, shared by all formats."""

    rows: Sequence[Row]
    spoken: Sequence[TranscriptSegment]

    @classmethod
    def of(cls, segments: "Sequence[Row] | TranscriptSegments") -> "TranscriptSegments":
        """Normalize rows; return an instance unchanged."""
        return segments if isinstance(segments, TranscriptSegments) else cls(segments, normalize_segments(segments))


def normalize_segments(segments: Sequence[Row]) -> list[TranscriptSegment]:
    """Normalize segments and sort them by start. A missing start becomes the end of the previous segment."""
    found: list[TranscriptSegment] = []
    for segment in segments:
        start, end = finite_time(segment.get("start")), finite_time(segment.get("end"))
        if start is None:
            start = found[-1].end if found else 0.0
        words = (
            TranscriptWord(
                one_line(w.get("word")),
                finite_time(w.get("start")),
                finite_time(w.get("end")),
                finite_number(w.get("probability")),
            )
            for w in segment.get("words") or ()
            if w
        )
        found.append(
            TranscriptSegment(
                start,
                max(start, start if end is None else end),
                one_line(segment.get("speaker")) or None,
                one_line(segment.get("text")),
                tuple(w for w in words if w.word),
            )
        )
    return sorted(found, key=lambda s: s.start)


def one_line(value: object) -> str:
    """Convert a value to one line of text without control characters and surrounding space."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if text.isalnum():  # most words
        return text
    joined = " ".join(text.split())
    return joined if joined.isprintable() else " ".join(_CONTROL.sub("", joined).split())


def finite_time(value: object) -> float | None:
    """Return a time that every format can represent, in seconds, or None."""
    found = finite_number(value)
    return None if found is None else min(max(found, 0.0), LONGEST)


def finite_number(value: object) -> float | None:
    """Return a finite number as float, or None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
