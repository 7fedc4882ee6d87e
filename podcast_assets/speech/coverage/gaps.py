"""Speech without words: how many seconds of the speech in a turn the words of its transcript do not account for."""

import re
from collections.abc import Iterator, Sequence

from podcast_assets.speech.text_measures import UNSPACED
from podcast_assets.speech.types import Transcript, Turn, Word

LONGEST_GAP = 0.75
"""Seconds of speech without a word that are nothing unusual: in transcripts without a lost word of read dialogues, none was longer
than 0.5 s, and where words were lost, none was shorter than 0.85 s."""
TOLERANCE = 0.15
"""Seconds by which the times of words may be off."""
LONGEST_WORD, LONGEST_LETTER, LONGEST_CHARACTER = 0.3, 0.1, 0.4
"""Longest time in seconds that a word takes: so much by itself and so much for each letter, or for each digit and character of a
script without spaces, most of which are syllables. A recognizer that skips words stretches their neighbours."""

_SYLLABLE = re.compile(f"[{UNSPACED}0-9]")

Span = tuple[float, float]
"""Start and end in seconds."""


def uncovered_seconds(turn: Turn, transcript: Transcript, speech: Sequence[Span]) -> float:
    """Return the seconds of speech in a turn in which no word is said; only gaps longer than `LONGEST_GAP` count.

    Where words have no times, the text counts as spoken slowly and without a pause, from the first sound on.

    Args:
        turn: the turn.
        transcript: its transcript.
        speech: where somebody speaks in the episode, in order, without overlap.
    """
    spoken = list(_clip(speech, turn.start, turn.end))
    if all(w.start is not None and w.end is not None for w in transcript.words) and transcript.words:
        gaps = _subtract(spoken, sorted(_word_spans(transcript.words)))
        return round(sum(end - start for start, end in gaps if end - start > LONGEST_GAP), 3)
    missing = sum(end - start for start, end in spoken) - _longest_seconds(transcript.text)
    return round(missing, 3) if missing > LONGEST_GAP else 0.0


def spoken_seconds(turn: Turn, speech: Sequence[Span]) -> float:
    """Return the seconds of speech in a turn."""
    return sum(end - start for start, end in _clip(speech, turn.start, turn.end))


def _clip(spans: Sequence[Span], start: float, end: float) -> Iterator[Span]:
    return ((max(a, start), min(b, end)) for a, b in spans if b > start and a < end)


def _word_spans(words: Sequence[Word]) -> Iterator[Span]:
    for word in words:
        if word.start is not None and word.end is not None:
            longest = word.start + _longest_seconds(word.word)
            yield word.start - TOLERANCE, min(word.end, longest) + TOLERANCE


def _longest_seconds(text: str) -> float:
    """Return the time that a text takes at most, without pauses."""
    words = text.split()
    syllables = len(_SYLLABLE.findall(text))
    letters = sum(map(len, words)) - syllables
    return LONGEST_WORD * len(words) + LONGEST_LETTER * letters + LONGEST_CHARACTER * syllables


def _subtract(spans: Sequence[Span], covered: Sequence[Span]) -> Iterator[Span]:
    """Yield what of the spans lies in none of the covered ones, which are in order of their start."""
    for start, end in spans:
        at = start
        for first, last in covered:
            if last <= at or first >= end:
                continue
            if first > at:
                yield at, first
            at = max(at, last)
        if at < end:
            yield at, end
