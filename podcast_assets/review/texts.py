"""Corrected texts: words that stay keep their times."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from podcast_assets.review.item_words import Word
from podcast_assets.review.settling import normalize_text


def align_words(words: Sequence[Word], text: str, start: float, end: float) -> list[Word]:
    """Split a corrected text into words with times.

    Words that stay, apart from case and punctuation, keep their times and probabilities. New ones share the time of those that they
    replace, by their length; those that replace none share the pause between their neighbours.

    Args:
        words: the words so far.
        text: the corrected text.
        start: seconds; start of the segment.
        end: its end.
    """
    wanted = text.split()
    old, new = ([normalize_text(word) or word for word in side] for side in ([w.word for w in words], wanted))
    found: list[Word] = []
    for change, i, i_end, j, j_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if change == "equal":
            found += [
                Word(wanted[j + n], words[i + n].start, words[i + n].end, words[i + n].probability)
                for n in range(i_end - i)
            ]
        elif j_end > j:
            left = next((w.end for w in reversed(words[:i]) if w.end is not None), start)
            right = next((w.start for w in words[i_end:] if w.start is not None), end)
            replaced = words[i:i_end]
            first = next((w.start for w in replaced if w.start is not None), left)
            last = next((w.end for w in reversed(replaced) if w.end is not None), right)
            found += _spread(wanted[j:j_end], first, max(first, last))
    return found


def _spread(words: Sequence[str], start: float, end: float) -> list[Word]:
    """Give words a stretch of time, by their length."""
    letters, seen = sum(map(len, words)), 0
    found = []
    for word in words:
        first, seen = seen, seen + len(word)
        times = [round(start + (end - start) * at / letters, 3) for at in (first, seen)]
        found.append(Word(word, times[0], times[1]))
    return found
