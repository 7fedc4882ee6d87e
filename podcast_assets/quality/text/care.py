"""Optional text columns: numbers in digits, and personal data that a text seems to contain.

Punctuation is requested by the same setting, but a separate stage adds it, because it needs a model.
"""

import re
from collections.abc import Iterator

import polars as pl

from podcast_assets.common.errors import Misconfigured
from podcast_assets.quality.text.emails import SUSPECT, contains_email
from podcast_assets.quality.text.spoken_form import NUMBERS, numbers_to_digits

CARES = {
    "numbers": f"column text_digits: numbers in digits, by text2num ({', '.join(NUMBERS)})",
    "punctuation": "column text_punctuated: punctuation and capitals, by the engine of PODCAST_PUNCTUATOR",
    "pii": "column pii: what seems to be an e-mail address, a telephone number or the number of a payment card",
}
"""Name in PODCAST_TEXT_CARE → what it adds."""

_REGIONS = {
    pair[:2]: pair[3:]
    for pair in "ar:EG bg:BG cs:CZ da:DK de:DE el:GR en:US es:ES fa:IR fi:FI fr:FR he:IL hi:IN hr:HR hu:HU id:ID it:IT ja:JP "
    "ko:KR nb:NO nl:NL no:NO pl:PL pt:BR ro:RO ru:RU sk:SK sl:SI sr:RS sv:SE th:TH tr:TR uk:UA vi:VN zh:CN".split()
}
"""Language → country whose format telephone numbers without country code are assumed to have."""

_CARD = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
"""13 to 19 digits: ISO/IEC 7812-1."""
_ONE_BY_ONE = re.compile(r"(?<=\b\d) (?=\d\b)")
_FEWEST_DIGITS = 7
_SUSPECT = rf"{SUSPECT}|(?:\d\D{{0,3}}){{7}}"


def parse_text_care(requested: str) -> frozenset[str]:
    """Parse the names in a setting such as `pii,numbers`.

    Raises:
        Misconfigured: a name is not one of `CARES`.
    """
    names = frozenset(name.strip() for name in requested.split(",") if name.strip())
    if unknown := sorted(names - CARES.keys()):
        raise Misconfigured(f"PODCAST_TEXT_CARE={requested!r}: {unknown[0]!r} is not one of {', '.join(CARES)}")
    return names


def text_care(texts: pl.DataFrame, requested: frozenset[str]) -> pl.DataFrame:
    """Compute the columns `text_digits` and `pii` for rows with `text` and `language`; null where not requested.

    `text_digits` is also null if the library does not support the language. `pii` contains only kinds, never the data itself.
    """
    digital: list[str | None] = [None] * texts.height
    found: list[list[str] | None] = [None] * texts.height
    if requested & {"numbers", "pii"}:
        rows = list(texts.select(pl.col("text").fill_null(""), "language").iter_rows())
        in_digits = [numbers_to_digits(text, language) for text, language in rows]
        if "numbers" in requested:
            digital = [new if language in NUMBERS else None for new, (_, language) in zip(in_digits, rows, strict=True)]
        if "pii" in requested:
            joined = pl.Series("text", [_ONE_BY_ONE.sub("", text) for text in in_digits], dtype=pl.String)
            suspect = joined.str.contains(_SUSPECT).to_list()
            found = [
                list(personal_data(text, language)) if some else []
                for text, some, (_, language) in zip(joined, suspect, rows, strict=True)
            ]
    return pl.DataFrame(
        {"text_digits": digital, "pii": found}, schema={"text_digits": pl.String, "pii": pl.List(pl.String)}
    )


def personal_data(text: str, language: str | None) -> Iterator[str]:
    """Yield the kinds of personal data that a text seems to contain: `email`, `phone`, `card`, each once."""
    if contains_email(text):
        yield "email"
    cards = [m.span() for m in _CARD.finditer(text) if _is_card_number(m.group())]
    if any(not any(a <= start < b for a, b in cards) for start in _find_phones(text, language)):
        yield "phone"
    if cards:
        yield "card"


def _find_phones(text: str, language: str | None) -> Iterator[int]:
    """Yield the positions of telephone numbers that are valid in their country's numbering plan."""
    import phonenumbers

    if sum(map(str.isdigit, text)) >= _FEWEST_DIGITS:
        region = _REGIONS.get(language or "")
        yield from (match.start for match in phonenumbers.PhoneNumberMatcher(text, region))


def _is_card_number(number: str) -> bool:
    """Return whether the check digit is right (Luhn, ISO/IEC 7812-1 annex B) and the issuer is one of payment cards (2 to 6)."""
    figures = [int(c) for c in number if c.isdigit()]
    doubled = [sum(divmod(2 * n, 10)) for n in figures[-2::-2]]
    return 2 <= figures[0] <= 6 and (sum(figures[-1::-2]) + sum(doubled)) % 10 == 0
