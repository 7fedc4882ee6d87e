"""Measures of transcripts that reveal failures of recognizers: loops, subtitle phrases, too much or too little text.

They are computed for all segments of a batch at once; module `rules` combines them.
"""

from collections.abc import Sequence

import polars as pl

from podcast_assets.quality.text.backchannels import SAYABLE_WORDS, collapse_backchannels
from podcast_assets.quality.text.folding import fold, split_tokens
from podcast_assets.quality.text.phrases import find_known_phrases
from podcast_assets.quality.text.repetition import measure_repetition
from podcast_assets.quality.text.rules import HALLUCINATIONS, add_text_flags, is_repetitive
from podcast_assets.quality.text.scripts import count_letters, main_script, own_script_share, usual_rate
from podcast_assets.speech.text_measures import UNSPACED
from podcast_assets.speech.types import Transcript, Turn
from podcast_assets.store.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, schema

TEXT_COLUMNS = (
    "chars_per_second words_per_second unique_word_share ngram_repetition script rate_ratio loop_words same_text_segments "
    "known_phrase digit_share uppercase_share punctuation_share text_flags hallucinated"
).split()
"""Columns of the table `quality_scores` that this module computes."""
_INPUTS = {
    **{name: SEGMENTS[name][0] for name in ("episode_id", "segment_index", "duration")},
    **{
        name: TRANSCRIPTS[name][0]
        for name in "text language text_language avg_logprob no_speech_prob compression_ratio flags".split()
    },
}
_AT_ONCE = 50_000
"""Segments whose tokens are in memory at once."""


def text_measures(segments: pl.DataFrame) -> pl.DataFrame:
    """Compute one row of `TEXT_COLUMNS` per segment, in the same order; `podcast_assets/store/schema.py` describes them.

    Args:
        segments: columns of the tables `diarized_segments` and `transcripts`; `text` and `duration` are required; other missing
            columns count as unknown.
    """
    unknown = {n: pl.lit(None, dtype=t).alias(n) for n, t in _INPUTS.items() if n not in segments.columns}
    rows = segments.with_columns(**unknown).select(pl.col(n).cast(t) for n, t in _INPUTS.items())
    folded = rows.select(fold(pl.col("text").fill_null(""))).to_series().rename("folded")
    rows = rows.with_columns(folded, _count_same_text(rows, folded))
    parts = [_measure_rows(part) for part in rows.iter_slices(_AT_ONCE)] or [_measure_rows(rows)]
    types = schema(QUALITY_SCORES)
    return add_text_flags(pl.concat(parts)).select(pl.col(name).cast(types[name]) for name in TEXT_COLUMNS)


def find_hallucinations(
    turns: Sequence[Turn], transcripts: Sequence[Transcript], episodes: Sequence[int] | None = None
) -> list[list[str]]:
    """Find for each turn the rules by which its text is hallucinated. Languages are not identified.

    Args:
        turns: turns of one or several episodes, each episode's in order.
        transcripts: their transcripts.
        episodes: the number of each turn's episode; None if all are of one.
    """
    rows = [
        {
            "episode_id": str(episodes[i]) if episodes else None,
            "segment_index": i,
            "duration": turn.end - turn.start,
            "text": t.text,
            "language": t.language,
            "avg_logprob": t.avg_logprob,
            "no_speech_prob": t.no_speech_prob,
            "compression_ratio": t.compression_ratio,
            "flags": list(t.flags),
        }
        for i, (turn, t) in enumerate(zip(turns, transcripts, strict=True))
    ]
    types = {n: t for n, t in _INPUTS.items() if n != "text_language"}
    flags = text_measures(pl.DataFrame(rows, schema=types))["text_flags"]
    return [[flag for flag in found if flag in HALLUCINATIONS] for found in flags.to_list()]


def _measure_rows(rows: pl.DataFrame) -> pl.DataFrame:
    counts, folded = count_letters(rows["text"]), rows["folded"]
    measured = rows.with_columns(
        script=main_script(counts), own_script_share=own_script_share(counts, rows["language"])
    ).hstack(_measure_repetition(folded).hstack(find_known_phrases(folded).rename({"phrase": "known_phrase"})))
    text, seconds = pl.col("text"), pl.when(pl.col("duration") > 0).then("duration")
    characters = text.str.len_chars() - text.str.count_matches(r"\s")
    digits, marks = text.str.count_matches(r"\p{N}"), text.str.count_matches(r"[\p{P}\p{S}]")
    large, small = text.str.count_matches(r"[\p{Lu}\p{Lt}]"), text.str.count_matches(r"\p{Ll}")
    some = pl.when(pl.col("folded") != "")
    return measured.with_columns(
        chars_per_second=some.then(characters / seconds),
        words_per_second=some.then(pl.col("tokens") / seconds),
        digit_share=some.then(digits / (characters - marks)),
        punctuation_share=some.then(marks / characters),
        uppercase_share=pl.when(large + small > 0).then(large / (large + small)),
    ).with_columns(rate_ratio=pl.col("chars_per_second") / usual_rate(pl.col("script")))


def _measure_repetition(folded: pl.Series) -> pl.DataFrame:
    """Measure repetition; `unspaced`: characters count as words; `sayable`: people do repeat themselves like this."""
    measures = _measure_tokens(folded)
    suspect = measures.select(is_repetitive()).to_series().fill_null(False).arg_true()
    if suspect.is_empty():
        return measures.with_columns(sayable=pl.lit(value=False))
    once = _measure_tokens(collapse_backchannels(folded.gather(suspect)))
    sayable = (measures["loop_words"].gather(suspect) < SAYABLE_WORDS) & ~once.select(is_repetitive()).to_series()
    return measures.with_columns(
        sayable=pl.int_range(pl.len(), dtype=pl.UInt32).is_in(suspect.filter(sayable).implode())
    )


def _measure_tokens(folded: pl.Series) -> pl.DataFrame:
    text = folded.to_frame("text")
    unspaced = text.select(unspaced=pl.col("text").str.contains(f"[{UNSPACED}]"))
    return unspaced.hstack(measure_repetition(text.select(split_tokens(pl.col("text"))).to_series()))


def _count_same_text(rows: pl.DataFrame, folded: pl.Series) -> pl.Series:
    """Count the consecutive segments with the same text, including this one; 0 without text."""
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
