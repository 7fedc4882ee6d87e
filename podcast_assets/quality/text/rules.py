"""Named rules that turn text measures into flags. Policies decide on the flags."""

import polars as pl

from podcast_assets.quality.text.scripts import script_of_language
from podcast_assets.speech.languages.codes import different_languages

LOOP_WORDS = 6
"""Words that a loop says again, from which it is one."""
LOOP_CHARACTERS = 9
"""The same for scripts without spaces: four words of three characters, or five of two, are still said."""
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
SHORTEST_SECONDS = 1.0
"""Of usual speech, that a text must be worth to be too fast: ends of segments are off by some tenths, which is all of "yes"."""
NO_SPEECH, NO_SPEECH_LOGPROB = 0.6, -1.0
"""Whisper's own limits for a window without speech, which are asked together (the same section)."""
DOUBT_RATE, DOUBT_SECONDS, DOUBT_NO_SPEECH, DOUBT_LOGPROB = 0.25, 2.0, 0.4, -1.0
"""From where the sound speaks against a phrase that people do say: less text for its time than this, in this time or more, or less
certainty."""
OWN_SCRIPT = 0.1
"""Share of a text, by the time that its letters take, up to which it has nearly nothing in the script of its language. People do
speak of their "GitHub Copilot" in the middle of a Chinese sentence."""
FOREIGN_LETTERS = 16
"""Letters of Latin, with the spaces between them, that may be a name and nothing else."""

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


def add_text_flags(measures: pl.DataFrame) -> pl.DataFrame:
    """Add `text_flags`, the rules that found something in their order, and `hallucinated`; a measure that is null finds nothing."""
    flags = [pl.when(found.fill_null(False)).then(pl.lit(name)) for name, found in _build_rules().items()]
    flagged = measures.with_columns(text_flags=pl.concat_list(flags).list.drop_nulls())
    return flagged.with_columns(
        hallucinated=pl.col("text_flags").list.set_intersection(pl.lit(list(HALLUCINATIONS))).list.len() > 0
    )


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
        | (some & (pl.col("compression_ratio") > COMPRESSION))
        | ((pl.col("same_text_segments") >= SAME_TEXT) & pl.col("folded").str.contains(" ", literal=True)),
        "known_phrase": pl.col("known_phrase").is_not_null() & (~pl.col("doubtful") | doubt),
        "wrong_language": _foreign_language() | _foreign_script(),
        "too_fast": (pl.col("rate_ratio") > TOO_FAST) & (pl.col("rate_ratio") * pl.col("duration") >= SHORTEST_SECONDS),
        "too_slow": pl.col("rate_ratio") < TOO_SLOW,
        "no_speech": some & (pl.col("no_speech_prob") > NO_SPEECH) & (pl.col("avg_logprob") < NO_SPEECH_LOGPROB),
        "words_outside": pl.col("flags").list.contains("words_outside"),
    }


def is_repetitive() -> pl.Expr:
    """Whether the measures of repetition are those of a loop. Needs `unspaced`, too: whether characters stand for words."""
    limit = pl.when(pl.col("unspaced")).then(LOOP_CHARACTERS).otherwise(LOOP_WORDS)
    return (pl.col("loop_words") >= limit) | (
        (pl.col("ngram_repetition") >= REPEATED_NGRAMS) & (pl.col("tokens") >= NGRAM_WORDS)
    )


def _foreign_language() -> pl.Expr:
    """Identified as another one, unless that is because of what a text in its own script says in another one."""
    own, other = (script_of_language(pl.col(c)).replace("kana", "han") for c in ("language", "text_language"))
    mixed = (own != other) & (pl.col("own_script_share") > OWN_SCRIPT)
    return different_languages(pl.col("language"), pl.col("text_language")) & ~mixed.fill_null(False)


def _foreign_script() -> pl.Expr:
    name = (pl.col("script") == "latin") & (pl.col("folded").str.len_chars() <= FOREIGN_LETTERS)
    return (pl.col("own_script_share") <= OWN_SCRIPT) & ~name
