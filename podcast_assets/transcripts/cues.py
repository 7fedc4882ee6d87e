"""Subtitle cues from segments: at most two lines of 42 columns, for at most seven seconds.

The limits are usual for subtitles (Netflix, Timed Text Style Guide). Wide characters take two columns, so that Chinese and Japanese
get 21 characters a line.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from podcast_assets.transcripts.spoken import TranscriptSegment

COLUMNS, LINES, SECONDS = 42, 2, 7.0

_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’»)\]」』]*$")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue shown from `start` to `end`, in milliseconds; `end` is after `start`."""

    start: int
    end: int
    speaker: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Unbreakable text: a word, or a part of a word that is longer than a line."""

    text: str
    glued: bool
    """Whether it follows the previous piece without a space."""
    start: float
    end: float


def make_cues(segments: Sequence[TranscriptSegment], *, name_speakers: bool = False) -> list[Cue]:
    """Cues in order of their start; those of segments that overlap overlap too.

    Args:
        segments: in order of their start.
        name_speakers: put the speaker's name before the text at each change of speaker, for formats without speakers.
    """
    several = len({s.speaker for s in segments if s.text}) > 1
    found: list[Cue] = []
    last: object = object()
    for segment in segments:
        if not segment.text:
            continue
        name = segment.speaker if name_speakers and several and segment.speaker != last else None
        last = segment.speaker
        found += _cues_of(segment, f"{name}: " if name else "")
    return sorted(found, key=lambda c: c.start)


def display_width(text: str) -> int:
    """Width of a text on a screen, in columns."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def _cues_of(segment: TranscriptSegment, prefix: str) -> list[Cue]:
    found: list[Cue] = []
    lines: list[str] = []
    start = end = segment.start
    for piece in _split_pieces(segment, prefix):
        extended = _add_piece(lines, piece)
        full = extended is None or piece.end - start > SECONDS
        ended = len(lines) > 1 and not piece.glued and _SENTENCE_END.search(lines[-1]) is not None
        if lines and (full or ended):
            found.append(_make_cue(start, end, segment.speaker, lines))
            lines, start = [piece.text], piece.start
        else:
            lines = extended or [piece.text]
        end = piece.end
    if lines:
        found.append(_make_cue(start, end, segment.speaker, lines))
    return found


def _add_piece(lines: list[str], piece: _Piece) -> list[str] | None:
    """Append a piece to the lines; None if it does not fit."""
    if not lines:
        return [piece.text]
    longer = f"{lines[-1]}{'' if piece.glued else ' '}{piece.text}"
    if display_width(longer) <= COLUMNS:
        return [*lines[:-1], longer]
    return [*lines, piece.text] if len(lines) < LINES else None


def _make_cue(start: float, end: float, speaker: str | None, lines: list[str]) -> Cue:
    first = round(start * 1000)
    return Cue(first, max(first + 1, round(end * 1000)), speaker, tuple(lines))


def _split_pieces(segment: TranscriptSegment, prefix: str) -> list[_Piece]:
    """Split a segment's text into timed pieces, by its words if they match the text, else by the number of letters."""
    offsets, times = _time_anchors(segment)
    spans = [
        (a, b) for m in re.finditer(r"\S+", segment.text) for a, b in _split_long_word(segment.text, m.start(), m.end())
    ]
    starts = np.interp([a for a, _ in spans], offsets, times).tolist()
    ends = np.interp([b for _, b in spans], offsets, times).tolist()
    pieces = [
        _Piece(segment.text[a:b], a > 0 and not segment.text[a - 1].isspace(), start, end)
        for (a, b), start, end in zip(spans, starts, ends, strict=True)
    ]
    names = [(a, b) for m in re.finditer(r"\S+", prefix) for a, b in _split_long_word(prefix, m.start(), m.end())]
    before = [
        _Piece(prefix[a:b], a > 0 and not prefix[a - 1].isspace(), segment.start, segment.start) for a, b in names
    ]
    return before + pieces


def _split_long_word(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Split text without spaces into parts of at most one line."""
    if end - start <= COLUMNS // 2:
        return [(start, end)]
    parts, first, width = [], start, 0
    for at in range(start, end):
        own = display_width(text[at])
        if width + own > COLUMNS:
            parts.append((first, at))
            first, width = at, 0
        width += own
    return [*parts, (first, end)]


def _time_anchors(segment: TranscriptSegment) -> tuple[list[int], list[float]]:
    """Offsets in the text and their times, in increasing order and within the segment."""
    offsets, times = [0], [segment.start]
    at = 0
    for word in segment.words:
        while at < len(segment.text) and segment.text[at].isspace():
            at += 1
        if not segment.text.startswith(word.word, at):
            return [0, len(segment.text)], [segment.start, segment.end]
        for offset, time in ((at, word.start), (at + len(word.word), word.end)):
            if time is not None:
                offsets.append(offset)
                times.append(min(max(time, times[-1]), segment.end))
        at += len(word.word)
    return [*offsets, len(segment.text)], [*times, segment.end]
