"""Numbers in digits, and personal data: told, never taken out."""

import polars as pl
import pytest

from podcast_assets.errors import Misconfigured
from podcast_assets.quality.text_care import cares, text_care


def care(text: str, language: str | None = "en", wanted: str = "pii,numbers") -> dict[str, object]:
    rows = pl.DataFrame({"text": [text], "language": [language]}, schema={"text": pl.String, "language": pl.String})
    return text_care(rows, cares(wanted)).row(0, named=True)


@pytest.mark.parametrize(
    ("text", "language", "kinds"),
    [
        ("Write to jane.doe@example.org, please.", "en", ["email"]),
        ("Write to jane at example dot org, please.", "en", ["email"]),
        ("Schreiben Sie an info ät beispiel punkt de.", "de", ["email"]),
        ("We met at the station, dot your eyes.", "en", []),
        ("Call us at (212) 736-5000 any time.", "en", ["phone"]),
        ("Call two one two seven three six five zero zero zero now.", "en", ["phone"]),
        ("Ruft an unter 030 901820.", "de", ["phone"]),
        ("It is plus, +44 20 7219 3000, in London.", None, ["phone"]),
        ("My card is 4111 1111 1111 1111, it expires soon.", "en", ["card"]),
        ("My card is 4111 1111 1111 1112, it expires soon.", "en", []),
        ("In 1984, 2001 and 2010 there were 1,500,000 of them.", "en", []),
        ("The number pi is 3.14159265358979 and so on.", "en", []),
        ("Nothing here.", "en", []),
        ("", "en", []),
    ],
)
def test_personal_data(text: str, language: str | None, kinds: list[str]):
    assert care(text, language)["pii"] == kinds


@pytest.mark.parametrize(
    ("text", "language", "written"),
    [
        ("I have twenty one apples and one idea.", "en", "I have 21 apples and one idea."),
        ("Ich habe dreihundert Euro.", "de", "Ich habe 300 Euro."),
        ("Il y a quatre-vingt-dix ponts.", "fr", "Il y a 90 ponts."),
        ("今天有二十一个人", "zh", None),
        ("twenty one", None, None),
    ],
)
def test_numbers(text: str, language: str | None, written: str | None):
    assert care(text, language)["text_digits"] == written


def test_only_what_is_wanted_is_made():
    assert care("Call (212) 736-5000.", wanted="") == {"text_digits": None, "pii": None}
    assert care("Call (212) 736-5000.", wanted="pii") == {"text_digits": None, "pii": ["phone"]}


def test_a_wrong_name_is_told():
    with pytest.raises(Misconfigured, match="'spelling' is none of numbers, punctuation, pii"):
        cares("pii, spelling")
