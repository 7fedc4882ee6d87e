"""Phrases of phrases.toml: known hallucinations of recognizers in silence, and words that people repeat."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import polars as pl

from podcast_assets.quality.text.folding import fold_texts
from podcast_assets.speech.text_measures import UNSPACED

_STRENGTHS = ("always", "alone", "doubtful", "again")


@dataclass(frozen=True)
class Phrases:
    """Folded phrases, the longest first."""

    always: tuple[str, ...]
    """Hallucinations anywhere in a text."""
    alone: tuple[str, ...]
    """Hallucinations if they are the whole text."""
    doubtful: tuple[str, ...]
    """Hallucinations if they are the whole text and there is further evidence."""
    again: tuple[str, ...]
    """Not hallucinations: words that people say several times in a row."""


@lru_cache(maxsize=1)
def load_phrases() -> Phrases:
    """Load the phrases of all languages."""
    data = tomllib.loads((files("podcast_assets.quality.text") / "phrases.toml").read_text(encoding="utf-8"))
    return Phrases(
        *(
            _longest_first([p for language in data.values() for p in language.get(strength, [])])
            for strength in _STRENGTHS
        )
    )


def find_known_phrases(folded: pl.Series) -> pl.DataFrame:
    """Find known phrases in folded texts: `phrase` (null if none), and `doubtful` if it needs further evidence."""
    expressions = _match_expressions()
    matches = folded.to_frame("text").select(pl.col("text"), *expressions)
    found = matches.select(
        (pl.col("always") | pl.col("doubtful")).fill_null(False).alias("known"),
        (pl.col("doubtful") & ~pl.col("alone") & ~pl.col("always")).fill_null(False).alias("doubtful"),
    )
    phrase: list[str | None] = [None] * len(folded)
    if not found["known"].any():
        return found.select(pl.Series("phrase", phrase, dtype=pl.String), "doubtful")
    # only the few texts with a known phrase are searched for which one it is
    known = load_phrases()
    every = _longest_first([*known.always, *known.alone, *known.doubtful])
    hits = matches.filter(found["known"]).select(
        pl.when(pl.col("always") & ~pl.col("alone"))
        .then(pl.col("text").str.extract_many(list(known.always), leftmost=True).list.first())
        .otherwise(pl.col("text").str.extract_many(list(every), leftmost=True).list.first())
    )
    for row, name in zip(found["known"].arg_true(), hits.to_series(), strict=True):
        phrase[row] = name
    return found.select(pl.Series("phrase", phrase, dtype=pl.String), "doubtful")


@lru_cache(maxsize=1)
def _match_expressions() -> tuple[pl.Expr, ...]:
    """Return expressions `always`, `alone` and `doubtful`. Built once: texts are also measured one episode at a time."""
    known = load_phrases()
    always = (" " + pl.col("text") + " ").str.contains_any([_with_spaces(p) for p in known.always])
    return (
        always.alias("always"),
        _only_pattern([*known.always, *known.alone]).alias("alone"),
        _only_pattern([*known.always, *known.alone, *known.doubtful]).alias("doubtful"),
    )


def _only_pattern(patterns: list[str]) -> pl.Expr:
    rest = pl.col("text").str.replace_many(list(_longest_first(patterns)), [" "], leftmost=True).str.strip_chars(" ")
    return (pl.col("text") != "") & (rest == "")


def _with_spaces(phrase: str) -> str:
    """Add spaces around a phrase, except in scripts that write none."""
    return phrase if re.search(f"[{UNSPACED}]", phrase) else f" {phrase} "


def _longest_first(texts: list[str]) -> tuple[str, ...]:
    return tuple(sorted(set(fold_texts(texts)), key=lambda p: (-len(p), p)))
