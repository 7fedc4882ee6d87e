# ruff: noqa: RUF001 (letters of many scripts)
"""Numbers in digits, and personal data: told, never taken out."""

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.quality.text.care import parse_text_care, text_care


def care(text: str, language: str | None = "en", wanted: str = "pii,numbers") -> dict[str, object]:
    rows = pl.DataFrame({"text": [text], "language": [language]}, schema={"text": pl.String, "language": pl.String})
    return text_care(rows, parse_text_care(wanted)).row(0, named=True)


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
    ("text", "language"),
    [
        ("You can reach me at jane at gmail dot com.", "en"),
        ("Just jane.doe at gmail.com, that's it.", "en"),
        ("Email us, the address is podcast at example dot co dot uk", "en"),
        ("jane @ example . org", "en"),
        ("info at beispiel punkt de", "de"),
        ("Écrivez à jean arobase exemple point fr", "fr"),
        ("Escriban a ana arroba ejemplo punto es", "es"),
        ("Scrivete a anna chiocciola esempio punto it, grazie.", "it"),
        ("Schrijf naar jan apenstaartje voorbeeld punt nl", "nl"),
        ("jan małpa przyklad kropka pl", "pl"),
        ("Пишите: anna собака primer точка ру", "ru"),
    ],
)
def test_spoken_addresses(text: str, language: str):
    assert care(text, language)["pii"] == ["email"]


NO_ADDRESSES = """
She looked at him. He smiled.
We met at school. The next day it rained.
I was at that point in my life.
At this point the game is over, and at that point we left.
He was at home. We went.
At some point in the past I would have said no.
At what point is it too much?
Look at that. It is a boat.
I worked at a dot com in 1999.
She stared at the dot in the sky.
Find us at example dot com, every week.
More at example.com, or wherever you listen.
Have a look at amazon dot com.
Email is dead, they said at Google. So we left.
We arrived at noon. No one was there.
He laughed at me. Is that fair?
I am good at math. My brother is not.
At 10. At 11. At noon.
Not at all. It was fun.
They were at it again. As always.
They sell it at cost. Co workers buy it.
We were sitting at dinner. Ed came in.
The point at issue. In fact, it was the main point in court.
She is at MIT. It is in Boston.
We stayed at Anna's. De facto we lived there.
Stop at the dot. Me too.
We were at war. It ended at last. So what?
I write at night. In the morning I sleep.
Send it at once. It is late.
I mailed it at five. It came at six.
Write to me at work. In time I will answer.
The address is at the bottom. Us first.
You look at version two point one point five.
Der Stand ist am Punkt. Die Leute warten.
Ich war an dem Punkt. Es ging nicht mehr.
Das Spiel ist auf dem Punkt, es ist aus.
À ce point de vue, il est parti.
Una arroba de aceite. Es mucho.
Die Universität Berlin.de gab es nicht.
Mi sento una chiocciola. In pace.
Моя собака устала. Точка.
Eine Frage, at that point, in Berlin.
""".strip().splitlines()


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_sentences_hold_no_address(text: str):
    assert care(text)["pii"] == []


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
    with pytest.raises(Misconfigured, match="'spelling' is not one of numbers, punctuation, pii"):
        parse_text_care("pii, spelling")
