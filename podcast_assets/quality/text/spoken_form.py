"""Spoken form of texts for comparison: what sounds the same becomes the same words."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import polars as pl

from podcast_assets.quality.text.folding import fold, split_tokens
from podcast_assets.quality.text.scripts import OF_LANGUAGE

NUMBERS = ("en", "fr", "es", "pt", "de", "nl", "it", "da")
"""Languages that text2num supports."""
_WITH_MARKS = ("arabic", "hebrew", "devanagari", "thai", "other")
"""Scripts that are only folded, because Whisper's normalizer treats their vowel signs and points as punctuation."""
_BRACKETS = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>")


def spoken_words(texts: Sequence[str], languages: Sequence[str | None]) -> list[list[str]]:
    """Return the words of each text, or characters of scripts without spaces, in the form used for error rates.

    It uses whisper-normalizer, as published error rates do: the English normalizer for English (spelling, contractions, numbers,
    fillers), otherwise the basic one. Text in brackets, such as "[laughter]", is removed. Numbers in words become digits if
    text2num supports the language.
    """
    plain = [_normalize_text(text, language) for text, language in zip(texts, languages, strict=True)]
    return (
        pl.DataFrame({"text": plain}, schema={"text": pl.String})
        .select(split_tokens(fold(pl.col("text"))))
        .to_series()
        .to_list()
    )


def numbers_to_digits(text: str, language: str | None) -> str:
    """Convert numbers to digits; the text is unchanged if the language is not in `NUMBERS`.

    Single numbers below three stay words, because "one" is an article in many languages.
    """
    from text_to_num import alpha2digit

    return alpha2digit(text, language) if language in NUMBERS else text


@lru_cache(maxsize=10_000)
def _normalize_text(text: str, language: str | None) -> str:
    """Normalize a text. Cached, as each text is compared with a reference and with a second recognizer's."""
    return _load_normalizer(language)(text)


@lru_cache(maxsize=64)
def _load_normalizer(language: str | None) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        return EnglishTextNormalizer()
    if OF_LANGUAGE.get(language or "") in _WITH_MARKS:
        return lambda text: _BRACKETS.sub(" ", text)
    basic = BasicTextNormalizer()
    return lambda text: basic(numbers_to_digits(text, language))
