"""Measures of a segment's transcript. They find what recognizers do when they fail: loops, and far too much or too little text."""

import unicodedata

from podcast_assets.quality.protocol import Scores

_NGRAM = 3


def text_measures(text: str, duration: float) -> Scores:
    """All measures of a text spoken in `duration` seconds, under their column names; all None for an empty text.

    `chars_per_second` counts what is not white space; `words_per_second` counts words, which white space divides: languages written
    without it have few. `unique_word_share` is distinct words over words. `ngram_repetition` is the share of word 3-grams that have
    occurred before in the text, 0 for fewer than three words. Case and punctuation do not make words different.
    """
    words = [word for part in text.casefold().split() if (word := _bare(part))]
    if not words:
        return dict.fromkeys(("chars_per_second", "words_per_second", "unique_word_share", "ngram_repetition"))
    characters = sum(map(len, text.split()))
    return {
        "chars_per_second": characters / duration if duration > 0 else None,
        "words_per_second": len(words) / duration if duration > 0 else None,
        "unique_word_share": len(set(words)) / len(words),
        "ngram_repetition": _repetition(words),
    }


def _repetition(words: list[str]) -> float:
    ngrams = list(zip(*(words[i:] for i in range(_NGRAM)), strict=False))
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def _bare(word: str) -> str:
    """The word without punctuation and symbols around it. By Unicode category: in many scripts, vowel signs are not letters."""
    start, end = 0, len(word)
    while start < end and _is_mark(word[start]):
        start += 1
    while end > start and _is_mark(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"
