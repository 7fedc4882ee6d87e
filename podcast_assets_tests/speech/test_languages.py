"""One notion of the same language, for every language that a recognizer may give."""

import polars as pl
import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from podcast_assets.quality.text.scripts import _SEVERAL, OF_LANGUAGE, script_of_language
from podcast_assets.speech.languages.codes import ALIASES, IDENTIFIED, different_languages
from podcast_assets.speech.languages.text import _load_identifier

UNKNOWN_TO_IDENTIFIER = {"bo", "haw", "mi", "sd", "su", "yi"}


def different(language: str | None, text_language: str | None) -> bool | None:
    row = pl.DataFrame({"a": [language], "b": [text_language]}, schema={"a": pl.String, "b": pl.String})
    return row.select(different_languages(pl.col("a"), pl.col("b"))).item()


def test_the_codes_are_those_of_the_identifier():
    assert set(_load_identifier().labels) - {"zxx"} == IDENTIFIED


@pytest.mark.parametrize("language", _LANGUAGE_CODES)
def test_every_language_of_whisper_has_a_script_and_a_code(language: str):
    script = pl.select(script_of_language(pl.lit(language))).item()
    assert script is not None or language in _SEVERAL
    assert (language in IDENTIFIED or language in ALIASES) != (language in UNKNOWN_TO_IDENTIFIER)
    assert different(language, language) is (None if language in UNKNOWN_TO_IDENTIFIER else False)


def test_scripts_that_are_not_latin():
    assert {OF_LANGUAGE[c] for c in ("yue", "zh", "ja", "ko", "yi", "bo")} == {
        "han",
        "kana",
        "hangul",
        "hebrew",
        "other",
    }


@pytest.mark.parametrize(
    ("language", "text_language", "expected"),
    [
        ("en", "de", True),
        ("hr", "sr", False),
        ("bs", "hr", False),
        ("id", "ms", False),
        ("gl", "pt", False),
        ("nn", "da", False),
        ("jw", "jv", False),
        ("yue", "zh", False),
        ("en-US", "en", False),
        ("pt-BR", "en", True),
        ("zh_TW", "zh", False),
        ("haw", "mg", None),
        ("sd", "ur", None),
        ("en", None, None),
        (None, "en", None),
        ("en", "zxx", None),
    ],
)
def test_different_languages(language: str | None, text_language: str | None, expected: bool | None):
    assert different(language, text_language) is expected
