"""The language of a text by itself: right on sentences, silent on scraps."""

import pytest

from podcast_assets.speech.languages.text import TextLanguageIdentifier


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Welcome back to the show, today we talk about the history of water.", "en"),
        ("Heute sprechen wir über die Geschichte des Wassers und der Städte.", "de"),
        ("Aujourd'hui nous parlons de l'histoire de l'eau dans les villes.", "fr"),
        ("今天我们讨论一下城市的历史和水的故事", "zh"),
        ("yes", None),
        ("hello hello", None),
        ("", None),
        ("1984, 2001, 2010, 3.14159, 42, 17", None),
    ],
)
def test_sentences_and_scraps(text: str, language: str | None) -> None:
    assert TextLanguageIdentifier().language(text) == language
