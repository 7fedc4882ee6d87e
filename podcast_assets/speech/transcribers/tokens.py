"""Conversion of a decoder's subword tokens to words with times."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podcast_assets.speech.types import Word

_CONTROL = re.compile(r"\s*<[^<>]*>")
"""Tokens that are not text: `<unk>`, `<s>`, `<|nospeech|>`."""
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CONTINUES = "@@"
"""Suffix of subword-nmt: the next piece belongs to the same word."""


@dataclass(frozen=True, slots=True)
class Token:
    """Token that a decoder emitted. Values that the decoder does not give are None."""

    text: str
    """Text, with a leading space where it begins a word in scripts with spaces."""
    start: float | None = None
    """Start and end in seconds from the start of the window."""
    end: float | None = None
    logprob: float | None = None
    """Natural logarithm of the probability."""


def to_words(tokens: Iterable[Token]) -> list[Word]:
    """Convert tokens to words in the convention of `WindowResult.words`: joined, they are the text.

    A word ends where a token begins with a space, and around every Han character, which is a word of its own: Chinese writes no
    spaces. Other marks and letters stay with what is before them. A word lasts from its first token's start to its last
    token's end; its probability is the mean of its tokens'. Both are None unless they are known for all of its tokens.
    """
    words: list[list[Token]] = []
    for token in tokens:
        if not token.text or _CONTROL.fullmatch(token.text):
            continue
        if not words or _begins_word(token.text, words[-1][-1].text):
            words.append([])
        words[-1].append(token)
    return [_build_word(w) for w in words if any(t.text.strip() for t in w)]


def _begins_word(text: str, before: str) -> bool:
    if text[0].isspace():
        return True
    if not before.strip():  # a space that is a token of its own
        return False
    return bool(_HAN.match(text) or (_HAN.match(before[-1]) and text[0].isalnum()))


def _build_word(tokens: Sequence[Token]) -> Word:
    ends = [t.end for t in tokens if t.end is not None]
    placed = len(ends) == len(tokens) and tokens[0].start is not None
    chances = [math.exp(t.logprob) for t in tokens if t.logprob is not None]
    return Word(
        "".join(t.text for t in tokens),
        tokens[0].start if placed else None,
        max(ends) if placed else None,
        min(sum(chances) / len(chances), 1.0) if len(chances) == len(tokens) else None,
    )


def mean_logprob(tokens: Iterable[Token]) -> float | None:
    """Return the mean of the tokens' log probabilities; None if there are none or one is unknown."""
    logprobs = [t.logprob for t in tokens]
    known = [p for p in logprobs if p is not None]
    return sum(known) / len(known) if known and len(known) == len(logprobs) else None


def insert_spaces(symbols: Iterable[str]) -> list[str]:
    """Convert symbols of a vocabulary of Han characters and word pieces ("he@@", "llo") to the convention of `Token.text`.

    Such a vocabulary has no spaces. They are inserted around every word of letters, as in running text.
    """
    texts: list[str] = []
    glued, letters = True, False
    for symbol in symbols:
        text = symbol.removesuffix(_CONTINUES)
        if _CONTROL.fullmatch(text):
            texts.append(text)
            continue
        han = _HAN.match(text) is not None
        texts.append(text if glued or (han and not letters) else f" {text}")
        glued, letters = symbol.endswith(_CONTINUES), not han
    return texts
