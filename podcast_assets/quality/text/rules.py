"""Named rules that turn text measures into flags. Policies decide on the flags."""

from functools import cache

import polars as pl

from podcast_assets.quality.text.scripts import script_of_language
from podcast_assets.speech.languages.codes import different_languages
from podcast_assets.speech.text_measures import LOOP_RATIO

LOOP_WORDS = 6
"""Repeated words from which on a text is a loop."""
LOOP_CHARACTERS = 9
"""The same for scripts without spaces: people do say four words of three characters, or five of two."""
REPEATED_NGRAMS = 0.5
"""Share of repeated 3-grams from which on a text is a loop; a text that is one phrase said twice stays just below."""
NGRAM_WORDS = 10
"""Least words (or characters, in scripts without spaces) for that share: "ha ha ha ha" is not a loop."""
SAME_TEXT = 3
"""Consecutive segments with the same text of two or more words; "yes" and "mhm" do occur repeatedly."""
TOO_FAST = 2.0
"""Multiple of the script's usual rate; nobody speaks that fast for a whole segment."""
TOO_SLOW = 0.15
SHORTEST_SECONDS = 1.0
"""Least duration of a text at the usual rate to count as too fast: ends of segments are inaccurate by tenths of a second."""
NO_SPEECH, NO_SPEECH_LOGPROB = 0.6, -1.0
"""Whisper's own limits for a window without speech, which must both be met (the same section)."""
DOUBT_RATE, DOUBT_SECONDS, DOUBT_NO_SPEECH, DOUBT_LOGPROB = 0.25, 2.0, 0.4, -1.0
"""Evidence against a phrase that people do say: a speaking rate below this in at least this time, or a less certain recognizer."""
OWN_SCRIPT = 0.1
"""Largest share of the script of its language, by speaking time, in a text that counts as foreign. A Chinese sentence may well
mention "GitHub Copilot"."""
FOREIGN_LETTERS = 16
"""Longest Latin text, with spaces, that may be just a name."""

TEXT_FLAGS = {
    "empty": "no text",
    "loop": "one phrase over and over, in the segment or in segments that follow each other",
    "known_phrase": "what recognizers write where nobody speaks",
    "wrong_language": "the text is in another language, or another script, than the segment",
    "too_fast": "more text than can be said in its time",
    "too_slow": "hardly any text for its time",
    "no_speech": "the recognizer returned text but a high no-speech probability",
    "words_outside": "words that lie outside of their segment",
}
"""Rule → what it finds."""
HALLUCINATIONS = ("loop", "known_phrase", "wrong_language", "too_fast", "no_speech")
"""Rules that indicate that the text was not spoken."""


def add_text_flags(measures: pl.DataFrame) -> pl.DataFrame:
    """Add `text_flags`, the matching rules in order, and `hallucinated`; a null measure matches nothing."""
    flags, hallucinated = _flag_expressions()
    return measures.with_columns(flags).with_columns(hallucinated)


@cache
def _flag_expressions() -> tuple[pl.Expr, pl.Expr]:
    """Return the expressions of both columns. Built once: texts are also judged one episode at a time."""
    flags = [pl.when(found.fill_null(False)).then(pl.lit(name)) for name, found in _build_rules().items()]
    some = pl.col("text_flags").list.set_intersection(pl.lit(list(HALLUCINATIONS))).list.len() > 0
    return pl.concat_list(flags).list.drop_nulls().alias("text_flags"), some.alias("hallucinated")


def _build_rules() -> dict[str, pl.Expr]:
    some = pl.col("folded") != ""
    doubt = pl.any_horizontal(
        (pl.col("rate_ratio") < DOUBT_RATE) & (pl.col("duration") >= DOUBT_SECONDS),
        pl.col("no_speech_prob") > DOUBT_NO_SPEECH,
        pl.col("avg_logprob") < DOUBT_LOGPROB,
    )
    return {
        "empty": ~some,
        "loop": (is_repetitive() & ~pl.col("sayable"))
        | (some & (pl.col("compression_ratio") > LOOP_RATIO))
        | ((pl.col("same_text_segments") >= SAME_TEXT) & pl.col("folded").str.contains(" ", literal=True)),
        "known_phrase": pl.col("known_phrase").is_not_null() & (~pl.col("doubtful") | doubt),
        "wrong_language": _foreign_language() | _foreign_script(),
        "too_fast": (pl.col("rate_ratio") > TOO_FAST) & (pl.col("rate_ratio") * pl.col("duration") >= SHORTEST_SECONDS),
        "too_slow": pl.col("rate_ratio") < TOO_SLOW,
        "no_speech": some & (pl.col("no_speech_prob") > NO_SPEECH) & (pl.col("avg_logprob") < NO_SPEECH_LOGPROB),
        "words_outside": pl.col("flags").list.contains("words_outside"),
    }


def is_repetitive() -> pl.Expr:
    """Return whether the measures of repetition indicate a loop. Also needs `unspaced`: whether characters count as words."""
    limit = pl.when(pl.col("unspaced")).then(LOOP_CHARACTERS).otherwise(LOOP_WORDS)
    return (pl.col("loop_words") >= limit) | (
        (pl.col("ngram_repetition") >= REPEATED_NGRAMS) & (pl.col("tokens") >= NGRAM_WORDS)
    )


def _foreign_language() -> pl.Expr:
    """Return whether another language was identified, unless the cause may be foreign words in a text in its own script."""
    own, other = (script_of_language(pl.col(c)).replace("kana", "han") for c in ("language", "text_language"))
    mixed = (own != other) & (pl.col("own_script_share") > OWN_SCRIPT)
    return different_languages(pl.col("language"), pl.col("text_language")) & ~mixed.fill_null(False)


def _foreign_script() -> pl.Expr:
    name = (pl.col("script") == "latin") & (pl.col("folded").str.len_chars() <= FOREIGN_LETTERS)
    return (pl.col("own_script_share") <= OWN_SCRIPT) & ~name
