"""Writing systems: detection, usual speaking rates, and the languages that use them."""

from dataclasses import dataclass
from functools import cache

import polars as pl

from podcast_assets.speech.languages.codes import base_code


@dataclass(frozen=True)
class Script:
    """Script with its letters and usual speaking rate."""

    letters: str
    """Regular expression of a letter."""
    rate: float
    """Characters, without white space, per second of usual speech."""


SCRIPTS = {
    "latin": Script(r"\p{Latin}", 14.0),
    "cyrillic": Script(r"\p{Cyrillic}", 13.0),
    "greek": Script(r"\p{Greek}", 14.0),
    "han": Script(r"\p{Han}", 5.2),
    "kana": Script(r"[\p{Hiragana}\p{Katakana}]", 7.0),
    "hangul": Script(r"\p{Hangul}", 6.0),
    "arabic": Script(r"\p{Arabic}", 11.0),
    "hebrew": Script(r"\p{Hebrew}", 10.0),
    "devanagari": Script(r"\p{Devanagari}", 12.0),
    "thai": Script(r"\p{Thai}", 12.0),
    "other": Script(
        r"[\p{L}--\p{Latin}--\p{Cyrillic}--\p{Greek}--\p{Han}--\p{Hiragana}--\p{Katakana}--\p{Hangul}--\p{Arabic}--\p{Hebrew}"
        r"--\p{Devanagari}--\p{Thai}]",
        12.0,
    ),
}
"""Rates: syllables a second as measured by Pellegrino, Coupé and Marsico 2011 (Language 87:3, table 1; English 6.2, German 6.0,
Spanish 7.8, Mandarin 5.2, Japanese 7.8), times the letters of a syllable: one in Han and Hangul; in Latin about 2.3 with
punctuation. Japanese is written in kana and Han, which holds about two of its syllables. The others are estimates with
an error of up to a third, which limits of half and double allow for."""

KANA_SHARE = 0.15
"""Share of kana in kana and Han together from which a text is Japanese."""

_OTHERS = {
    "cyrillic": "ba be bg ce cv ky mk mn os ru tg tt uk",
    "greek": "el grc",
    "han": "zh yue wuu",
    "kana": "ja",
    "hangul": "ko",
    "arabic": "ar ary arz fa ps sdh ug ur",
    "hebrew": "hbo he iw yi",
    "devanagari": "gom hi mr ne sa",
    "thai": "th",
    "other": "am as bn bo dv dz gu hy ka km kn lo ml my or si ta te ti",
}
_SEVERAL = "az bs crh hr ks kk ku pa sd sr tk uz".split()
"""Languages that are commonly written in more than one script."""
OF_LANGUAGE = {language: script for script, languages in _OTHERS.items() for language in languages.split()}
"""Language → its script; others use Latin or several scripts."""


def count_letters(texts: pl.Series) -> pl.DataFrame:
    """Count the letters of each text by script, a column for each of `SCRIPTS`; Han counts as kana where a text is Japanese."""
    counts = texts.to_frame("text").select(
        pl.col("text").str.count_matches(script.letters).alias(name) for name, script in SCRIPTS.items()
    )
    both = pl.col("kana") + pl.col("han")
    japanese = pl.col("kana") >= KANA_SHARE * both
    return counts.with_columns(
        kana=pl.when(japanese).then(both).otherwise(0), han=pl.when(japanese).then(0).otherwise(both)
    )


def main_script(counts: pl.DataFrame) -> pl.Series:
    """Return the name of the script of most letters of each text; null if there are none. Latin wins ties."""
    ranked = counts.select(most=pl.max_horizontal(pl.all()), best=pl.concat_list(pl.all()).list.arg_max())
    numbered = dict(enumerate(SCRIPTS))
    return ranked.select(
        script=pl.when(pl.col("most") > 0).then(pl.col("best").replace_strict(numbered, return_dtype=pl.String))
    )["script"]


def own_script_share(counts: pl.DataFrame, language: pl.Series) -> pl.Series:
    """Return the share of letters of each text that are in the script of its language, 0 to 1; null where either is unknown.

    Letters are weighted by speaking time: one of Han counts almost as three of Latin. Japanese may be all Han.
    """
    usual, share = _share_expressions()
    return counts.hstack(language.to_frame("language").select(usual)).select(share)["share"]


@cache
def _share_expressions() -> tuple[pl.Expr, pl.Expr]:
    """Return the expressions `usual`, the script of a language, and `share`. Built once."""
    seconds = [pl.col(name) / script.rate for name, script in SCRIPTS.items()]
    usual = pl.col("usual")
    own = pl.when(usual == "kana").then(pl.col("kana") / SCRIPTS["kana"].rate + pl.col("han") / SCRIPTS["han"].rate)
    for name, script in SCRIPTS.items():
        own = own.when(usual == name).then(pl.col(name) / script.rate)
    every = pl.sum_horizontal(seconds)
    share = pl.when(every > 0).then(own / every)
    return script_of_language(pl.col("language")).alias("usual"), share.alias("share")


def usual_rate(script: pl.Expr) -> pl.Expr:
    """Return the usual speaking rate of a script in characters per second."""
    return script.replace_strict({name: s.rate for name, s in SCRIPTS.items()}, default=None, return_dtype=pl.Float64)


def script_of_language(language: pl.Expr) -> pl.Expr:
    """Return the name of the script that a language is written in; null if several are usual or the language is unknown."""
    code = base_code(language)
    latin = pl.when(code.is_not_null() & ~code.is_in(_SEVERAL)).then(pl.lit("latin"))
    return code.replace_strict(OF_LANGUAGE, default=latin, return_dtype=pl.String)
