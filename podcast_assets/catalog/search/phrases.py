"""Phrases: what a search finds. Segments are merged and cut into stretches of one speaker that read as sentences.

A phrase ends at a pause of more than `MAX_PAUSE` seconds, where the speaker or the language changes, and near `LENGTH` characters,
there at the end of a sentence if one is near. Another speaker's interjection does not end it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from podcast_assets.speech.text_measures import join_texts

MAX_PAUSE = 1.5
"""Seconds of silence that end a phrase."""
LENGTH = 200
"""Characters after which a phrase ends with its sentence."""
MAX_LENGTH = 320
"""Characters that no phrase exceeds, unless a single word does."""
_MIN_SENTENCES = 80
"""Characters from which on sentences may stand without the one that does not fit."""
_MIN_CLAUSES = 150
_SENTENCE_END = re.compile(r"[.?!…。？！।॥؟۔]+[\"'”’»)\]」』]*$")  # noqa: RUF001
_CLAUSE_END = re.compile(r"[,;:–—、，；：،؛]$")  # noqa: RUF001
_MARKS = frozenset(".?!…。？！।॥؟۔,;:–—、，；：،؛\"'”’»)]」』")  # noqa: RUF001
"""Last characters of words after which a phrase may end."""
_MAX_GROUP = 60
"""Characters after which it may end without a mark."""
_SENTENCE = re.compile(r"\S.*?(?:[.?!…؟।۔]+[\"'”’»)\]]*(?=\s|$)|[。？！]+[」』]*|$)", re.DOTALL)  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class SpokenSegment:
    """A segment with its text. Times are seconds on the episode's clock."""

    segment_id: str
    start: float
    end: float
    speaker: str | None
    language: str | None
    text: str
    words: Sequence[dict[str, Any]] = ()
    """Words as the table `transcripts` has them; `start` and `end` may be missing."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """What one hit of a search shows. Times are seconds on the episode's clock."""

    index: int
    """Position in the episode, from 0."""
    segment_ids: tuple[str, ...]
    start: float
    end: float
    speaker: str | None
    language: str | None
    text: str


class _Piece(NamedTuple):
    """Words between which no phrase is cut, or a part of a segment whose words have no times."""

    text: str
    start: float
    end: float
    segment_id: str
    spaced: bool
    """Whether the text has a space before it in its segment."""


@dataclass(slots=True)
class _Open:
    """A phrase that grows."""

    speaker: str | None
    language: str | None
    pieces: list[_Piece] = field(default_factory=list)
    length: int = 0

    @property
    def end(self) -> float:
        return self.pieces[-1].end


def merge_phrases(segments: Iterable[SpokenSegment]) -> list[Phrase]:
    """Merge the segments of one episode into phrases, ordered by time.

    Every character of the segments' texts is in one phrase, except for spaces at its ends. A segment whose words have no times
    gives its own times to the phrases that have a part of it.
    """
    done: list[_Open] = []
    growing: dict[str | None, _Open] = {}
    for segment in sorted((s for s in segments if s.text.strip()), key=lambda s: (s.start, s.end, s.segment_id)):
        phrase = growing.pop(segment.speaker, None)
        for piece in _split_segment(segment):
            if phrase and (piece.start - phrase.end > MAX_PAUSE or phrase.language != segment.language):
                done.append(phrase)
                phrase = None
            phrase = phrase or _Open(segment.speaker, segment.language)
            phrase.pieces.append(piece)
            phrase.length += len(piece.text) + piece.spaced
            while phrase and _may_end(phrase, piece) and (cut := _find_cut(phrase)):
                full, phrase = _cut(phrase, cut)
                done.append(full)
        if phrase:
            growing[segment.speaker] = phrase
    done += growing.values()
    made = [_close(phrase) for phrase in done]
    made.sort(key=lambda p: (p[0], p[1], p[2] or "", p[3]))
    return [
        Phrase(index, segment_ids, start, end, speaker, language, text)
        for index, (start, end, speaker, segment_ids, language, text) in enumerate(made)
    ]


def _may_end(phrase: _Open, last: _Piece) -> bool:
    """Whether the last piece can make a difference to `_find_cut`, which is slow."""
    if phrase.length <= LENGTH:
        return False
    before = phrase.length - len(last.text) - last.spaced
    return before <= LENGTH or phrase.length > MAX_LENGTH or _SENTENCE_END.search(last.text) is not None


def _find_cut(phrase: _Open) -> int | None:
    """How many pieces of a long phrase become a phrase of their own; None while it may grow to the end of its sentence."""
    sentence = clause = word = length = 0
    for number, piece in enumerate(phrase.pieces, 1):
        length += len(piece.text) + piece.spaced
        if length > MAX_LENGTH and number > 1:
            break
        word = number
        if _SENTENCE_END.search(piece.text) and length >= _MIN_SENTENCES:
            if length > LENGTH:
                return sentence or number  # what stands before it is enough for a phrase
            sentence = number
        elif length >= _MIN_CLAUSES and _CLAUSE_END.search(piece.text):
            clause = number
    if sentence:
        return sentence
    if phrase.length <= MAX_LENGTH:
        return None
    return clause or word


def _cut(phrase: _Open, at: int) -> tuple[_Open, _Open | None]:
    first, rest = phrase.pieces[:at], phrase.pieces[at:]
    length = sum(len(p.text) + p.spaced for p in rest)
    left = _Open(phrase.speaker, phrase.language, rest, length) if rest else None
    return _Open(phrase.speaker, phrase.language, first), left


def _close(phrase: _Open) -> tuple[float, float, str | None, tuple[str, ...], str | None, str]:
    by_segment: dict[str, list[str]] = {}
    for piece in phrase.pieces:
        parts = by_segment.setdefault(piece.segment_id, [])
        parts.append(f" {piece.text}" if piece.spaced and parts else piece.text)
    text = join_texts("".join(parts) for parts in by_segment.values())
    start = min(p.start for p in phrase.pieces)
    end = max(p.end for p in phrase.pieces)
    return start, end, phrase.speaker, tuple(by_segment), phrase.language, text


def _split_segment(segment: SpokenSegment) -> Iterator[_Piece]:
    """Split a segment at its pauses and clauses where its words have times; otherwise at its sentences."""
    words = segment.words
    if not any(word["start"] is not None for word in words):
        return _split_sentences(segment)
    parts = [word["word"].strip() for word in words]
    separator = " "
    if separator.join(parts) != segment.text:
        parts, separator = _find_parts(segment.text, parts), ""
        if not parts:  # an edited text: its words are no longer those with the times
            return _split_sentences(segment)
    return _group_words(segment, parts, separator)


def _find_parts(text: str, words: Sequence[str]) -> list[str]:
    """Cut a text before each of its words; empty if it has others."""
    places = []
    at = 0
    for word in words:
        if (place := text.find(word, at)) < 0:
            return []
        places.append(place)
        at = place + len(word)
    starts = [0, *places[1:]]
    return [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]


def _group_words(segment: SpokenSegment, parts: Sequence[str], separator: str) -> Iterator[_Piece]:
    """Put words together up to the next pause or mark: between them a phrase is never cut."""
    group: list[str] = []
    length, begins, ends, before = 0, segment.start, segment.start, separator

    def join() -> _Piece:
        text = separator.join(group)
        return _Piece(text.strip(), begins, ends, segment.segment_id, before[-1:].isspace() or text[:1].isspace())

    for word, part in zip(segment.words, parts, strict=True):
        start, end = word["start"], word["end"]
        if group and start is not None and start - ends > MAX_PAUSE:
            yield join()
            before, group = separator or group[-1], []
        if not group:
            length = 0
            begins = ends = start if start is not None else ends
        group.append(part)
        length += len(part) + 1
        ends = max(ends, end if end is not None else begins)
        if length > _MAX_GROUP or part.rstrip()[-1:] in _MARKS:
            yield join()
            before, group = separator or group[-1], []
    if group:
        yield join()


def _split_sentences(segment: SpokenSegment) -> Iterator[_Piece]:
    text = segment.text
    for match in _SENTENCE.finditer(text):
        sentence = match[0].rstrip()
        spaced = match.start() > 0 and text[match.start() - 1].isspace()
        if len(sentence) <= MAX_LENGTH:
            if sentence:
                yield _Piece(sentence, segment.start, segment.end, segment.segment_id, spaced)
            continue
        for number, part in enumerate(_split_long(sentence)):
            yield _Piece(
                part.strip(), segment.start, segment.end, segment.segment_id, part[:1].isspace() if number else spaced
            )


def _split_long(sentence: str) -> list[str]:
    """Split a sentence that is longer than a phrase at its spaces, or, where there are none, anywhere."""
    words = re.findall(r"\s*\S+", sentence)
    return [word[i : i + LENGTH] for word in words for i in range(0, len(word), LENGTH)]
