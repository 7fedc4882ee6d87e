"""The difference of two recognizers' texts, word by word."""

import difflib
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DiffPart:
    """Words that both texts have, or that only the first or the second has."""

    kind: Literal["same", "first", "second"]
    text: str


def diff_words(first: str | None, second: str | None) -> list[DiffPart] | None:
    """Compare two texts word by word; letter case and punctuation at a word's edges do not count.

    Returns:
        Parts in reading order; None unless there are two texts.
    """
    if first is None or second is None:
        return None
    old, new = first.split(), second.split()
    matcher = difflib.SequenceMatcher(None, [_normalize(w) for w in old], [_normalize(w) for w in new], autojunk=False)
    parts: list[DiffPart] = []
    for kind, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            parts.append(DiffPart("same", " ".join(old[old_start:old_end])))
            continue
        if old_end > old_start:
            parts.append(DiffPart("first", " ".join(old[old_start:old_end])))
        if new_end > new_start:
            parts.append(DiffPart("second", " ".join(new[new_start:new_end])))
    return parts


def _normalize(word: str) -> str:
    return word.casefold().strip(".,;:!?…\"'“”„«»()[]-\u2013\u2014") or word
