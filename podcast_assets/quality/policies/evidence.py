"""Columns that rules can name: the joined tables of a batch, with a few derived measures."""

import polars as pl

from podcast_assets.quality.more_scores import add_score_columns
from podcast_assets.store.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, Columns, schema

_FROM_SEGMENTS = ("start", "end", "duration", "speaker", "overlap", "flags")
_FROM_TRANSCRIPTS = tuple(c for c in TRANSCRIPTS if c not in SEGMENTS and c != "words")
_MORE_FLAGS = "flags of the transcript"
_VERDICT = ("keep", "reject_reasons", "policy")

_NOT_COUNTED = "[,.!?\"'，。！？“”‘’ ]"  # noqa: RUF001
"""Spaces and punctuation that Emilia-Pipe does not count (`get_char_count` in its utils/tool.py)."""

DERIVED: Columns = {
    "characters": (pl.UInt32, "characters of the text without spaces and common punctuation"),
    "seconds_per_character": (
        pl.Float64,
        "duration over characters: the average character duration of Emilia; null without characters",
    ),
}
"""Measures that only rules use."""

EVIDENCE: Columns = {
    **{k: SEGMENTS[k] for k in _FROM_SEGMENTS},
    **{k: TRANSCRIPTS[k] for k in _FROM_TRANSCRIPTS},
    **{k: v for k, v in QUALITY_SCORES.items() if k not in _VERDICT},
    **DERIVED,
}
"""All columns that a rule can name."""


def collect_evidence(scores: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """Join the scores with the other tables and add derived columns; rows and order are those of the scores.

    `flags` combines those of the segment and of its transcript. Words are left out: they are most of a table, and rules cannot use
    them.

    Args:
        scores: rows of `quality_scores`, or those columns of them that the stage `score` computes.
        segments: the table of `diarized_segments`.
        transcripts: the table of `transcripts`.
    """
    evidence = add_score_columns(scores)
    transcript_rows = transcripts.rename({"flags": _MORE_FLAGS})
    for table, columns in (
        (segments, _FROM_SEGMENTS),
        (transcript_rows, (*_FROM_TRANSCRIPTS, _MORE_FLAGS)),
    ):
        more = [c for c in columns if c not in scores.columns]
        evidence = evidence.join(table.select("segment_id", *more), on="segment_id", how="left", maintain_order="left")
    none = pl.lit([], dtype=pl.List(pl.String))
    flags = pl.concat_list(pl.col("flags").fill_null(none), pl.col(_MORE_FLAGS).fill_null(none))
    evidence = evidence.with_columns(flags=flags.list.unique(maintain_order=True)).drop(_MORE_FLAGS)
    return evidence.with_columns(
        characters=pl.col("text").str.replace_all(_NOT_COUNTED, "").str.len_chars()
    ).with_columns(
        seconds_per_character=pl.when(pl.col("characters") > 0).then(pl.col("duration") / pl.col("characters"))
    )


def evidence_types() -> pl.Schema:
    """Return the types of the columns that a rule can name."""
    return schema(EVIDENCE)
