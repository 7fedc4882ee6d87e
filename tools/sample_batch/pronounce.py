# ruff: noqa: RUF001 (phonetic letters)
"""English text to the phonemes of Kokoro, by the dictionaries of misaki (Apache-2.0)."""

import json
from functools import cache
from importlib.resources import files

PUNCTUATION = ";:,.!?—"
VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐ")
STRESS = "ˈˌ"
BEFORE_VOWEL = {"the": ("ðə", "ði"), "to": ("tə", "tʊ")}
"""Word → phonemes before a consonant, and before a vowel."""
PRONUNCIATIONS = {"a": "ɐ", "an": "ɐn", "i": "ˌI", "close": "klˈQz", "live": "lˈɪv"}
"""Words without stress, and verbs that would be spoken as the adjective. A British voice says "close"."""


@cache
def _dictionaries(british: bool) -> list[dict[str, str | dict[str, str | None]]]:
    region = "gb" if british else "us"
    data = files("misaki") / "data"
    return [json.loads((data / f"{region}_{quality}.json").read_text()) for quality in ("gold", "silver")]


def pronounce(text: str, british: bool) -> list[tuple[str, str]]:
    """Return for each word its phonemes, and the punctuation after it.

    Raises:
        ValueError: a word is not in the dictionaries.
    """
    tokens = [token.lower() for token in text.split()]
    plain = [token.rstrip(PUNCTUATION) for token in tokens]
    result: list[tuple[str, str]] = []
    following = ""
    for word, token in zip(reversed(plain), reversed(tokens), strict=True):
        mark = token[len(word) :]
        if word in BEFORE_VOWEL and following and not mark:
            phonemes = BEFORE_VOWEL[word][following.lstrip(STRESS)[0] in VOWELS]
        else:
            phonemes = _lookup(word, british, final=bool(mark) or not following)
        result.append((phonemes, mark))
        following = phonemes
    return result[::-1]


def _lookup(word: str, british: bool, final: bool) -> str:
    phonemes = PRONUNCIATIONS.get(word) or _entry(word, british, final) or _inflected(word, british)
    if phonemes is None:
        raise ValueError(f"add {word!r} to PRONUNCIATIONS: the dictionaries do not have it")
    return phonemes


def _entry(word: str, british: bool, final: bool = False) -> str | None:
    """Return the phonemes of a dictionary's entry; a few words are stressed at the end of a phrase ("None")."""
    for dictionary in _dictionaries(british):
        for spelling in (word, word.capitalize()):
            if entry := dictionary.get(spelling):
                if isinstance(entry, str):
                    return entry
                return (entry.get("None") if final else None) or entry["DEFAULT"]
    return None


def _inflected(word: str, british: bool) -> str | None:
    """Add the endings -s, -'s, -ed and -ing to the phonemes of a stem."""
    weak = "ɪ" if british else "ᵻ"
    for ending, stems in (
        ("'s", [word[:-2]]),
        ("s", [word[:-1]]),
        ("es", [word[:-2], word[:-3] + "y"]),
        ("ed", [word[:-1], word[:-2], word[:-3]]),
        ("ing", [word[:-3], word[:-3] + "e", word[:-4]]),
    ):
        stem = next((found for s in stems if (found := _entry(s, british))), None) if word.endswith(ending) else None
        if stem is None:
            continue
        if ending == "ing":
            return stem + "ɪŋ"
        if ending == "ed":
            return stem + (weak + "d" if stem[-1] in "td" else "t" if stem[-1] in "pkfθʃsʧ" else "d")
        return stem + (weak + "z" if stem[-1] in "szʃʒʧʤ" else "s" if stem[-1] in "ptkfθ" else "z")
    return None
