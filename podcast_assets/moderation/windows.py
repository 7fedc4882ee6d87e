"""Windows of a transcript: whole turns with context, each within a classifier's limit. No I/O.

No text is cut silently: a turn that does not fit is split at sentences, else between words, into pieces that overlap a little.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from podcast_assets.moderation.protocol import Window
from podcast_assets.speech.text_measures import UNSPACED, join_texts

OVERLAP_WORDS = 8
"""Words that two pieces of one turn share."""
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")
_SENTENCE_END = re.compile(r"[.!?…。！？।؟](?=[\s\"'»”)]|$)|[。！？]")  # noqa: RUF001


@dataclass(frozen=True)
class JudgedSegment:
    """A segment with the text that is judged."""

    segment_id: str
    start: float
    end: float
    speaker: str | None
    text: str
    language: str | None


@dataclass(frozen=True)
class WindowPlan:
    """Windows of an episode."""

    windows: tuple[Window, ...]
    too_long: frozenset[int]
    """Indexes of windows that do not fit however short they are: the policy leaves no room."""
    split_turns: int
    """Turns that were split because they do not fit alone."""


@dataclass(frozen=True)
class _Turn:
    """Consecutive segments of one speaker, or a piece of one segment."""

    segments: tuple[JudgedSegment, ...]
    text: str

    @property
    def words(self) -> int:
        return count_words(self.text)


def plan_windows(
    segments: Sequence[JudgedSegment], *, words: int = 300, fits: Callable[[str], bool] = lambda _: True
) -> WindowPlan:
    """Group what was said into windows of whole turns.

    Each window has about `words` words, and begins with the last turn of the window before it unless that is long.

    Args:
        segments: segments of an episode, in order; those without text are left out.
        words: words of a window, about.
        fits: whether a text is within the classifier's limit.
    """
    split = 0
    turns: list[_Turn] = []
    for turn in _read_turns([s for s in segments if s.text.strip()], words):
        if fits(turn.text):
            turns.append(turn)
        else:
            pieces = list(_split_turn(turn, fits))
            split += len(pieces) > 1
            turns += pieces
    windows: list[Window] = []
    too_long: set[int] = set()
    for group in _group_turns(turns, words, fits):
        if not fits(_join(group)):
            too_long.add(len(windows))
        windows.append(_make_window(len(windows), group))
    return WindowPlan(tuple(windows), frozenset(too_long), split)


def count_words(text: str) -> int:
    """Count words; characters in scripts without spaces between words."""
    return len(_WORD.findall(text))


def _read_turns(segments: Sequence[JudgedSegment], words: int) -> Iterator[_Turn]:
    """Consecutive segments of one speaker, cut between segments where a turn is longer than a window."""
    current: list[JudgedSegment] = []
    length = 0
    for segment in segments:
        more = count_words(segment.text)
        if current and (segment.speaker != current[-1].speaker or segment.speaker is None or length + more > words):
            yield _make_turn(current)
            current, length = [], 0
        current.append(segment)
        length += more
    if current:
        yield _make_turn(current)


def _make_turn(segments: Sequence[JudgedSegment]) -> _Turn:
    return _Turn(tuple(segments), join_texts(" ".join(s.text.split()) for s in segments))


def _group_turns(turns: Sequence[_Turn], words: int, fits: Callable[[str], bool]) -> Iterator[list[_Turn]]:
    current: list[_Turn] = []
    for turn in turns:
        if current and (sum(t.words for t in current) + turn.words > words or not fits(_join([*current, turn]))):
            yield current
            context = current[-1:]
            # context is not worth more than the window that it is for, nor worth a window that does not fit
            keep = context[0].words + turn.words <= words and fits(_join([*context, turn])) and len(current) > 1
            current = context if keep else []
        current = [*current, turn]
    if current:
        yield current


def _join(turns: Sequence[_Turn]) -> str:
    return "\n".join(t.text for t in turns)


def _make_window(index: int, turns: Sequence[_Turn]) -> Window:
    segments = list({s.segment_id: s for t in turns for s in t.segments}.values())
    languages: Counter[str] = Counter()
    for segment in segments:
        if segment.language:
            languages[segment.language] += count_words(segment.text)
    return Window(
        index=index,
        start=min(s.start for s in segments),
        end=max(s.end for s in segments),
        segment_ids=tuple(s.segment_id for s in segments),
        text=_join(turns),
        language=languages.most_common(1)[0][0] if languages else None,
    )


def _split_turn(turn: _Turn, fits: Callable[[str], bool]) -> Iterator[_Turn]:
    """Split a turn that does not fit: between its segments, else inside of them."""
    if len(turn.segments) > 1:
        for segment in turn.segments:
            alone = _make_turn([segment])
            yield from [alone] if fits(alone.text) else _split_turn(alone, fits)
        return
    for text in split_text(turn.text, fits):
        yield replace(turn, text=text)


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Split a text into pieces that fit, at the ends of sentences where possible. Pieces overlap by `OVERLAP_WORDS` words.

    A text of which not even one word fits is returned as it is.
    """
    spans = [m.span() for m in _WORD.finditer(text)]
    pieces: list[str] = []
    first = 0
    while first < len(spans):
        last = _last_word_that_fits(text, spans, first, fits)
        if last is None:
            return [text]
        if last + 1 < len(spans):
            last = _last_sentence_end(text, spans, first, last)
        pieces.append(text[spans[first][0] : spans[last][1]])
        if last + 1 == len(spans):
            break
        first = max(last + 1 - OVERLAP_WORDS, first + 1)
    return pieces


def _last_word_that_fits(
    text: str, spans: Sequence[tuple[int, int]], first: int, fits: Callable[[str], bool]
) -> int | None:
    """Find the last word up to which the text fits, by bisection."""
    low, high = first - 1, len(spans) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if fits(text[spans[first][0] : spans[middle][1]]):
            low = middle
        else:
            high = middle - 1
    return low if low >= first else None


def _last_sentence_end(text: str, spans: Sequence[tuple[int, int]], first: int, last: int) -> int:
    """Last word in the second half of a piece that ends a sentence; the last word if there is none."""
    half = first + max((last - first) // 2, OVERLAP_WORDS)
    for word in range(last, half, -1):
        if _SENTENCE_END.search(text[spans[word][0] : spans[word][1]]):
            return word
    return last
