"""How texts become search terms: the same for what is searched and for what people type.

A text is reduced to its words in lower case, without accents on Latin and Greek letters. Letters of scripts that are written
without spaces (Han, kana, Thai, Lao, Khmer, Burmese) become pairs of neighbouring letters, because nothing tells where words end.
PostgreSQL then stems the words by the text search configuration of the language (`podcast_assets.catalog.search.languages`).
"""

import re
import unicodedata
from itertools import pairwise

from podcast_assets.speech.text_measures import UNSPACED

_UNSPACED = re.compile(f"[{UNSPACED}]")
_RUNS = re.compile(f"[{UNSPACED}]+|[^{UNSPACED}]+")
_THOUSANDS = re.compile(r"(?<=\d)[,.\u202f\u00a0'’](?=\d{3}(?!\d))")  # noqa: RUF001
_SPELLED = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ð": "d", "đ": "d", "þ": "th", "ł": "l", "ħ": "h", "ı": "i", "ς": "σ",  # noqa: RUF001
    "\u0640": "",  # Arabic tatweel
}  # fmt: skip
"""Letters that people who have no key for them write in another way."""
_DROPPED_MARKS = (range(0x0300, 0x0370), range(0x064B, 0x0653))
"""Accents that stand alone, and Arabic vowel signs."""


def to_search_text(text: str) -> str:
    """Reduce a text to its search terms, separated by spaces and in the text's order.

    >>> to_search_text("L'été, it's 1,000 cafés in 東京.")
    'l ete it s 1000 cafes in u06771u04eac u04eac'
    """
    return " ".join(token for word in _find_words(text) for token in _index_tokens(word))


def to_query_tokens(text: str) -> list[str]:
    """Return the terms that must follow each other in what is searched.

    The last letter of an unspaced script stands alone in what is searched, so that single letters are found; a query of several
    letters has pairs only. A single letter is a prefix of every pair that begins with it: see `is_single_letter`.
    """
    tokens: list[str] = []
    for word in _find_words(text):
        if _UNSPACED.match(word) and len(word) > 1:
            tokens += _pairs(word)
        else:
            tokens += _index_tokens(word)
    return tokens


def is_single_letter(token: str) -> bool:
    """Whether a query token is one letter of an unspaced script, which begins pairs and must be searched as a prefix."""
    return re.fullmatch("u[0-9a-f]{5}", token) is not None


def _find_words(text: str) -> list[str]:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    words = _THOUSANDS.sub("", text.lower()).translate(_FOLDED).split()
    if text.isascii() or not _UNSPACED.search(text):
        return words
    return [run for word in words for run in _RUNS.findall(word)]


def _index_tokens(word: str) -> list[str]:
    if not _UNSPACED.match(word):
        return [word]
    return [*_pairs(word), _code(word[-1])]


def _pairs(word: str) -> list[str]:
    """Pairs of neighbours, written as code points: then neither the server's locale nor a stemmer changes them."""
    codes = [_code(letter) for letter in word]
    return [a + b for a, b in pairwise(codes)]


def _code(letter: str) -> str:
    return f"u{ord(letter):05x}"


class _Folded(dict[int, str]):
    """Letter → the same letter without accents, and a space for what is no part of a word; filled as characters occur."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(code)
        return folded


def _fold(code: int) -> str:
    letter = chr(code)
    if letter in _SPELLED:
        return _SPELLED[letter]
    if any(code in marks for marks in _DROPPED_MARKS):
        return ""
    if unicodedata.category(letter)[0] not in "LMN":  # a vowel sign of Hindi or Tamil is a mark
        return " "
    base, *marks = unicodedata.normalize("NFD", letter)
    if marks and unicodedata.name(base, "").startswith(("LATIN", "GREEK")):
        return base
    return letter if marks else base


_FOLDED = _Folded()
