"""What the measures of a text mean: named rules, each a limit and its reason. They flag; policies decide."""

import polars as pl

from podcast_assets.quality.scripts import script_of_language

LOOP_WORDS = 6
"""Words that a loop says again, from which it is one: people do say "no, no, no, no"."""
REPEATED_NGRAMS = 0.5
"""Share of repeated 3-grams: a phrase that comes twice and is all of the text stays just below."""
NGRAM_WORDS = 10
"""Words, or characters of scripts without spaces, from which that share is looked at: "ha ha ha ha" is no loop."""
COMPRESSION = 2.4
"""Whisper's own limit (Radford et al. 2022, section 4.5)."""
SAME_TEXT = 3
"""Segments in a row with one text of two words or more: "yes" and "mhm" do come so."""
TOO_FAST = 2.0
"""Times the usual rate of the script: nobody speaks so fast for a whole segment."""
TOO_SLOW = 0.15
NO_SPEECH = 0.6
"""Whisper's own limit for a window without speech (the same section)."""
DOUBT_RATE, DOUBT_NO_SPEECH, DOUBT_LOGPROB = 0.25, 0.4, -1.0
"""From where the sound speaks against a phrase that people do say: less text for its time than this, or less certainty."""
WORDS_OUTSIDE = 0.2
FOREIGN_LETTERS = 12
"""Letters of Latin in a text of a language that is written otherwise, up to which they may be a name."""

TEXT_FLAGS = {
    "empty": "no text",
    "loop": "one phrase over and over, in the segment or in segments that follow each other",
    "known_phrase": "what recognizers write where nobody speaks",
    "wrong_language": "the text is in another language, or another script, than the segment",
    "too_fast": "more text than can be said in its time",
    "too_slow": "hardly any text for its time",
    "no_speech": "the recognizer wrote a text and thinks that nobody speaks",
    "words_outside": "words that lie outside of their segment",
}
"""Rule → what it finds."""
HALLUCINATIONS = ("loop", "known_phrase", "wrong_language", "too_fast", "no_speech")
"""Rules that say that the text was not said."""

_ONE_LANGUAGE = (
    "no nb nn da",
    "hr sr bs",
    "id ms",
    "cs sk",
    "zh yue",
    "gl pt es",
    "fa ps",
    "hi ur mr ne",
    "af nl",
    "bg mk",
    "be ru uk",
)
"""Languages so close that an identifier takes one for the other in a sentence."""


def judged(measures: pl.DataFrame) -> pl.DataFrame:
    """Add `text_flags`, the rules that found something in their order, and `hallucinated`; a measure that is null finds nothing."""
    flags = [pl.when(found.fill_null(False)).then(pl.lit(name)) for name, found in _rules().items()]
    flagged = measures.with_columns(text_flags=pl.concat_list(flags).list.drop_nulls())
    return flagged.with_columns(
        hallucinated=pl.col("text_flags").list.set_intersection(pl.lit(list(HALLUCINATIONS))).list.len() > 0
    )


def _rules() -> dict[str, pl.Expr]:
    some = pl.col("folded") != ""
    doubt = pl.any_horizontal(
        pl.col("rate_ratio") < DOUBT_RATE,
        pl.col("no_speech_prob") > DOUBT_NO_SPEECH,
        pl.col("avg_logprob") < DOUBT_LOGPROB,
    )
    return {
        "empty": ~some,
        "loop": (pl.col("loop_words") >= LOOP_WORDS)
        | ((pl.col("ngram_repetition") >= REPEATED_NGRAMS) & (pl.col("tokens") >= NGRAM_WORDS))
        | (some & (pl.col("compression_ratio") > COMPRESSION))
        | ((pl.col("same_text_segments") >= SAME_TEXT) & pl.col("folded").str.contains(" ", literal=True)),
        "known_phrase": pl.col("known_phrase").is_not_null() & (~pl.col("doubtful") | doubt),
        "wrong_language": _foreign_language() | _foreign_script(),
        "too_fast": pl.col("rate_ratio") > TOO_FAST,
        "too_slow": pl.col("rate_ratio") < TOO_SLOW,
        "no_speech": some & (pl.col("no_speech_prob") > NO_SPEECH),
        "words_outside": pl.col("words_outside_share") > WORDS_OUTSIDE,
    }


def _foreign_language() -> pl.Expr:
    family = {code: group.split()[0] for group in _ONE_LANGUAGE for code in group.split()}
    language, text = (pl.col(name).replace(family) for name in ("language", "text_language"))
    return language != text


def _foreign_script() -> pl.Expr:
    usual = script_of_language(pl.col("language"))
    script = pl.col("script")
    japanese = (pl.col("language") == "ja") & (script == "han")
    name = (script == "latin") & (pl.col("folded").str.len_chars() <= FOREIGN_LETTERS)
    return (script != usual) & ~japanese & ~name
