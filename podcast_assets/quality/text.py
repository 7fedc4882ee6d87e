"""Measures of segments' transcripts, which find what recognizers do when they fail: loops, phrases of subtitles, too much or too
little text, words that lie elsewhere. All segments of a batch at once; what the measures mean together, text_rules.py says."""

import polars as pl

from podcast_assets.quality.folding import fold, tokens
from podcast_assets.quality.phrases import known_phrases
from podcast_assets.quality.repetition import repetition
from podcast_assets.quality.scripts import main_script, usual_rate
from podcast_assets.quality.text_rules import judged
from podcast_assets.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, schema

TEXT_COLUMNS = (
    "chars_per_second words_per_second unique_word_share ngram_repetition script rate_ratio loop_words same_text_segments "
    "known_phrase words_outside_share digit_share uppercase_share punctuation_share text_flags hallucinated"
).split()
"""Columns of the table `quality_scores` that come from here."""
_INPUTS = {
    **{name: SEGMENTS[name][0] for name in ("episode_id", "segment_index", "start", "end", "duration")},
    **{
        name: TRANSCRIPTS[name][0]
        for name in "text language text_language words avg_logprob no_speech_prob compression_ratio".split()
    },
}
_AT_ONCE = 50_000
"""Segments whose words are held in memory at once."""
_OUTSIDE = 0.1
"""Seconds by which a word may pass the ends of its segment: encoders of Whisper see 0.02 s, and aligners widen words a little."""


def text_measures(segments: pl.DataFrame) -> pl.DataFrame:
    """One row of `TEXT_COLUMNS` per segment, in the same order. `podcast_assets/schema.py` says what each is.

    Args:
        segments: columns of the tables `diarized_segments` and `transcripts`; `text` and `duration` must be there, and what else is
            missing is taken as unknown.
    """
    unknown = {n: pl.lit(None, dtype=t).alias(n) for n, t in _INPUTS.items() if n not in segments.columns}
    rows = segments.with_columns(**unknown).select(pl.col(n).cast(t) for n, t in _INPUTS.items())
    folded = rows.select(fold(pl.col("text").fill_null(""))).to_series().rename("folded")
    rows = rows.with_columns(folded, _same_text(rows, folded))
    parts = [_measured(part) for part in rows.iter_slices(_AT_ONCE)] or [_measured(rows)]
    types = schema(QUALITY_SCORES)
    return judged(pl.concat(parts)).select(pl.col(name).cast(types[name]) for name in TEXT_COLUMNS)


def _measured(rows: pl.DataFrame) -> pl.DataFrame:
    spoken = rows.select(tokens(pl.col("folded"))).to_series()
    said = rows.with_columns(
        words_outside_share=_outside(rows),
        script=main_script(rows["text"]),
    ).hstack(repetition(spoken).hstack(known_phrases(rows["folded"]).rename({"phrase": "known_phrase"})))
    text, seconds = pl.col("text"), pl.when(pl.col("duration") > 0).then("duration")
    characters = text.str.len_chars() - text.str.count_matches(r"\s")
    digits, marks = text.str.count_matches(r"\p{N}"), text.str.count_matches(r"[\p{P}\p{S}]")
    large, small = text.str.count_matches(r"[\p{Lu}\p{Lt}]"), text.str.count_matches(r"\p{Ll}")
    some = pl.when(pl.col("folded") != "")
    return (
        said.with_columns(
            chars_per_second=some.then(characters / seconds),
            words_per_second=some.then((pl.col("folded").str.count_matches(" ") + 1) / seconds),
            digit_share=some.then(digits / (characters - marks)),
            punctuation_share=some.then(marks / characters),
            uppercase_share=pl.when(large + small > 0).then(large / (large + small)),
        )
        .with_columns(rate_ratio=pl.col("chars_per_second") / usual_rate(pl.col("script")))
        .drop("words")
    )


def _same_text(rows: pl.DataFrame, folded: pl.Series) -> pl.Series:
    """How many segments in a row, this one among them, have the same text; 0 for one without text."""
    ordered = (
        rows.select("episode_id", "segment_index", folded)
        .with_row_index("row")
        .sort("episode_id", "segment_index", maintain_order=True)
    )
    run = ordered.select(pl.struct("episode_id", "folded").rle_id()).to_series().rename("run")
    counted = ordered.with_columns(run).with_columns(
        same_text_segments=pl.when(pl.col("folded") != "").then(pl.len().over("run")).otherwise(0)
    )
    return counted.sort("row")["same_text_segments"]


def _outside(rows: pl.DataFrame) -> pl.Series:
    """Share of the words with times that begin before their segment or end after it; null where none has times."""
    words = (
        rows.select("start", "end", "words")
        .with_row_index("row")
        .rename({"start": "from", "end": "to"})
        .explode("words", empty_as_null=False, keep_nulls=False)
        .unnest("words")
        .drop_nulls(["start", "end"])
    )
    outside = (pl.col("start") < pl.col("from") - _OUTSIDE) | (pl.col("end") > pl.col("to") + _OUTSIDE)
    shares = words.group_by("row").agg(outside.mean().alias("share"))
    return pl.DataFrame({"row": pl.arange(rows.height, dtype=pl.UInt32, eager=True)}).join(
        shares, on="row", how="left", maintain_order="left"
    )["share"]
