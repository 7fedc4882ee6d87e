"""Context of turns that touch another speaker's: a recognizer hears a little more than the turn, and each word is in one of them.

Where people speak at once or without a pause, the edge of a turn splits a word, and a recognizer makes nothing of its parts. On
dialogues of real voices that overlap, tiny.en deletes a third fewer words with it, and WER falls from 0.060 to 0.053.
"""

from bisect import bisect
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import product

from podcast_assets.speech.types import Transcript, Turn, Word

CONTEXT_SECONDS = 0.2
"""Seconds that a recognizer hears before and after a turn where it touches another speaker's."""
TOUCHING_SECONDS = 0.03
"""Pause or overlap up to which two turns touch: less than a pause between words. Turns that overlap share what is said."""
DOUBLED_SECONDS = 0.35
"""Distance of the middles of two equal words of neighbouring turns up to which they are one word: their times are not exact."""
_NEIGHBOURS = 2
"""Turns after a turn that are searched for its words: one in between may be very short."""


def widen_turns(turns: Sequence[Turn], around: Sequence[Turn] = ()) -> list[tuple[float, float]]:
    """Return start and end, in seconds, of what a recognizer should hear for each turn. They may lie outside the episode.

    Args:
        turns: in order of their start.
        around: further turns of the episode; those among `turns` may be repeated.
    """
    everybody = {(t.start, t.end, t.speaker) for t in (*turns, *around)}
    starts, ends = _by_time((t[0], t[2]) for t in everybody), _by_time((t[1], t[2]) for t in everybody)
    return [
        (
            turn.start - CONTEXT_SECONDS * _is_touched(ends, turn.start, turn.speaker),
            turn.end + CONTEXT_SECONDS * _is_touched(starts, turn.end, turn.speaker),
        )
        for turn in turns
    ]


def drop_doubled_words(turns: Sequence[Turn], words: Sequence[list[Word]]) -> None:
    """Remove from the words of turns that touch what both have; it stays where it lies.

    Args:
        turns: in order of their start.
        words: of each turn, with times in seconds from the start of the episode; changed.
    """
    for i, turn in enumerate(turns):
        for j in range(i + 1, min(i + 1 + _NEIGHBOURS, len(turns))):
            if turns[j].speaker != turn.speaker and abs(turns[j].start - turn.end) < TOUCHING_SECONDS:
                _drop_doubled(words[i], words[j], (turn.end + turns[j].start) / 2)


def drop_doubled_again(
    turns: Sequence[Turn], transcripts: Sequence[Transcript], changed: Collection[int]
) -> list[Transcript]:
    """Return transcripts without the words at an edge that a turn's new text has in common with its neighbour's.

    Args:
        turns: in order of their start.
        transcripts: one per turn.
        changed: turns with another text than that of which doubled words were dropped already.
    """
    settled = list(transcripts)
    for i in sorted({j for k in changed for j in range(k - _NEIGHBOURS, k + 1) if j >= 0}):
        some = range(i, min(i + 1 + _NEIGHBOURS, len(turns)))
        words = [list(settled[j].words) for j in some]
        drop_doubled_words([turns[j] for j in some], words)
        for j, left in zip(some, words, strict=True):
            settled[j] = _with_words(settled[j], left)
    return settled


def _with_words(transcript: Transcript, left: list[Word]) -> Transcript:
    """Drop the first or the last words of a transcript, from its text too."""
    words, text = list(transcript.words), transcript.text
    kept = {id(w) for w in left}
    while words and id(words[0]) not in kept and text.startswith(words[0].word):
        text = text.removeprefix(words.pop(0).word).lstrip()
    while words and id(words[-1]) not in kept and text.endswith(words[-1].word):
        text = text.removesuffix(words.pop().word).rstrip()
    return transcript if len(words) == len(transcript.words) else replace(transcript, text=text, words=words)


def _by_time(edges: Iterable[tuple[float, str | None]]) -> tuple[list[float], list[str | None]]:
    ordered = sorted(edges, key=lambda edge: edge[0])
    return [time for time, _ in ordered], [speaker for _, speaker in ordered]


def _is_touched(edges: tuple[list[float], list[str | None]], time: float, speaker: str | None) -> bool:
    """Return whether an edge of somebody else's turn is at a time."""
    times, speakers = edges
    first, last = bisect(times, time - TOUCHING_SECONDS), bisect(times, time + TOUCHING_SECONDS)
    return any(s != speaker for s in speakers[first:last])


def _drop_doubled(before: list[Word], after: list[Word], edge: float) -> None:
    reach = CONTEXT_SECONDS + DOUBLED_SECONDS
    last = [w for w in before if w.end is not None and w.end > edge - reach]
    first = [w for w in after if w.start is not None and w.start < edge + reach]
    for a, b in product(last, first):
        if not (_is_in(before, a) and _is_in(after, b)) or _form(a) != _form(b):
            continue
        middles = _middle(a), _middle(b)
        if abs(middles[0] - middles[1]) < DOUBLED_SECONDS:
            _remove(*((after, b) if sum(middles) / 2 < edge else (before, a)))


def _is_in(words: list[Word], word: Word) -> bool:
    return any(w is word for w in words)


def _remove(words: list[Word], word: Word) -> None:
    words[:] = [w for w in words if w is not word]


def _middle(word: Word) -> float:
    return ((word.start or 0.0) + (word.end or 0.0)) / 2


def _form(word: Word) -> str:
    return "".join(c for c in word.word.casefold() if c.isalnum()) or word.word
