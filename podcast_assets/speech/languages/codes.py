"""Equivalence of language codes: forms of one code, and languages that cannot be told apart in a sentence."""

import polars as pl

IDENTIFIED = frozenset(
    "ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr fuv fy ga gcf gcr "
    "gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko ku ky la lb lg lij ln lo lt ltg lv "
    "mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg "
    "th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu".split()
)
"""Codes that the text identifier (speech/languages/text.py) can return, also for texts in other languages."""
ALIASES = {"jw": "jv", "nb": "no", "cmn": "zh", "iw": "he", "in": "id"}
"""Other codes of a language: Whisper's for Javanese, and outdated or narrower codes."""
_FAMILIES = (
    "ar arz ary",
    "be ru uk",
    "bg mk",
    "cs sk",
    "el grc",
    "en pcm",
    "fa ps",
    "he hbo",
    "hi ur mr ne gom",
    "hr sr bs sl",
    "id ms ace",
    "it lij vec",
    "ku sdh",
    "lv ltg",
    "nl af",
    "no nn da",
    "pt gl es ext",
    "tr az crh",
    "uz uzs",
    "zh yue wuu",
)
"""Languages so similar that an identifier confuses them in single sentences."""
_FAMILY = {code: code for code in IDENTIFIED} | {
    code: group.split()[0] for group in _FAMILIES for code in group.split()
}
_FAMILY |= {alias: _FAMILY[code] for alias, code in ALIASES.items()}


def base_code(language: pl.Expr) -> pl.Expr:
    """Return the code without country or script: `pt-BR` becomes `pt`."""
    return language.str.to_lowercase().str.extract("^([a-z]+)")


def different_languages(language: pl.Expr, text_language: pl.Expr) -> pl.Expr:
    """Return whether an identified language clearly differs from the declared one; null if either is unknown.

    A declared language that the identifier does not support counts as unknown.
    """
    one, other = (
        base_code(code).replace_strict(_FAMILY, default=None, return_dtype=pl.String)
        for code in (language, text_language)
    )
    return one != other
