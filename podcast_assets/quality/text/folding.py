"""Folding of texts for comparison: without case, punctuation and equivalent spellings."""

from collections.abc import Iterable

import polars as pl

from podcast_assets.speech.text_measures import UNSPACED

_INSIDE = "['\u2019\u02bc\u00ad\u200c\u200d\u0307]"
"""Apostrophes, soft hyphens and joiners inside words, and the dot of a lower-case Turkish İ."""
_BETWEEN = r"[^\p{L}\p{M}\p{N}]+"
"""Everything between words. Marks belong to words, because vowel signs of many scripts are marks."""
_TOKEN = rf"[{UNSPACED}]\p{{M}}*|[^ {UNSPACED}]+"


def fold(text: pl.Expr) -> pl.Expr:
    """Fold a text to lower-case words with one space between them; full-width forms are normalized (NFKC)."""
    small = text.str.normalize("NFKC").str.to_lowercase().str.replace_all(_INSIDE, "")
    return small.str.replace_all(_BETWEEN, " ").str.strip_chars(" ")


def split_tokens(folded: pl.Expr) -> pl.Expr:
    """Split a folded text into words; single characters in scripts that write no spaces."""
    return folded.str.extract_all(_TOKEN)


def fold_texts(texts: Iterable[str]) -> list[str]:
    """Fold each text."""
    return (
        pl.DataFrame({"text": list(texts)}, schema={"text": pl.String})
        .select(fold(pl.col("text")))
        .to_series()
        .to_list()
    )
