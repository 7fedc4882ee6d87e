"""Encodings of names in archives.

A zip says of each name whether it is UTF-8, else it should be in cp437; a tar says nothing. In practice macOS writes UTF-8 into
zips without saying so, Windows its code page, and old tars have the encoding of the system that packed them.
"""

import re
import unicodedata
from collections.abc import Iterable

from podcast_assets.intake.encodings import count_outside_ascii

_CODE_PAGES = ("cp932", "gb18030", "big5", "cp949", "cp866", "cp1251", "cp1252", "cp850", "cp437")
"""Encodings of names that are not UTF-8: Japanese, Chinese (two), Korean, Russian (two), Western European (three)."""
_SAMPLE_BYTES = 20_000
_RUN = re.compile(rb"[\x80-\xff]{2}")
_TYPOGRAPHY = re.compile(rb"(?<=[A-Za-z])\x92|(?<= )[\x96\x97](?= )")
"""Apostrophes and dashes of cp1252 where other encodings hardly have these bytes."""
_ACCENTED = 0.5
"""Share of bytes outside ASCII from which words are not in Latin letters: every other byte of katakana in cp932 is ASCII."""
_FEW = 3
"""Number of bytes outside ASCII up to which their share says nothing."""


def decode_names(names: Iterable[bytes]) -> dict[bytes, str]:
    """Decode names that are in one encoding, apart from those that are UTF-8; never fails.

    Names that are Latin letters in cp437, as zips specify, or single ones among ASCII in cp1252, are taken for these. The encoding
    of others is guessed by chardet from all of them together; short names can be taken for another language.
    """
    decoded: dict[bytes, str] = {}
    others: list[bytes] = []
    for name in names:
        try:
            decoded[name] = name.decode()
        except UnicodeDecodeError:
            others.append(name)
    if others:
        encoding = _guess_encoding(others)
        decoded |= {name: name.decode(encoding, "replace") for name in others}
    return decoded


def _guess_encoding(names: list[bytes]) -> str:
    sample = b"\n".join(names)[:_SAMPLE_BYTES]
    accents, letters = count_outside_ascii(sample)
    if accents <= max(_FEW, _ACCENTED * letters) and all(map(_is_latin, sample.decode("cp437"))):
        return "cp437"
    plain = _TYPOGRAPHY.sub(b"", sample)
    if not _RUN.search(plain) and all(map(_is_latin, plain.decode("cp1252", "replace"))):
        return "cp1252"
    import chardet

    found = chardet.detect(sample, encoding_era=chardet.EncodingEra.ALL, include_encodings=_CODE_PAGES)
    return found["encoding"] or "cp437"


def _is_latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith("LATIN ")
