"""What rules can look at: the tables of a batch, side by side, with a few measures that cost nothing and are not kept."""

import polars as pl

from podcast_assets.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, Columns, schema

_FROM_SEGMENTS = ("start", "end", "duration", "speaker", "overlap")
_ELSEWHERE = ("episode_id", "segment_index", "engine", "degraded", "fingerprint")
"""Columns that the scores have too."""
_VERDICT = ("keep", "reject_reasons", "policy")

_NOT_COUNTED = "[,.!?\"'，。！？“”‘’ ]"  # noqa: RUF001
"""Spaces and the punctuation that Emilia-Pipe does not count (`get_char_count` in its utils/tool.py)."""

DERIVED: Columns = {
    "characters": (pl.UInt32, "characters of the text without spaces and common punctuation"),
    "seconds_per_character": (
        pl.Float64,
        "duration over characters: the average character duration of Emilia; null without characters",
    ),
}
"""Measures for rules alone."""

EVIDENCE: Columns = {
    **{k: v for k, v in SEGMENTS.items() if k in ("segment_id", "episode_id", "segment_index", *_FROM_SEGMENTS)},
    **{k: v for k, v in TRANSCRIPTS.items() if k not in (*_ELSEWHERE, "segment_id", "words")},
    **{k: v for k, v in QUALITY_SCORES.items() if k not in _VERDICT},
    **DERIVED,
}
"""All columns that a rule can name."""


def evidence(scores: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame) -> pl.DataFrame:
    """The scores with the columns of the other tables and the derived ones; rows and their order are those of the scores.

    Args:
        scores: rows of `quality_scores`, or the part of them that the stage `score` makes.
        segments: the table of `diarized_segments`.
        transcripts: the table of `transcripts`.
    """
    about = scores.join(
        segments.select("segment_id", *_FROM_SEGMENTS), on="segment_id", how="left", maintain_order="left"
    ).join(transcripts.drop(*_ELSEWHERE, "words"), on="segment_id", how="left", maintain_order="left")
    return about.with_columns(characters=pl.col("text").str.replace_all(_NOT_COUNTED, "").str.len_chars()).with_columns(
        seconds_per_character=pl.when(pl.col("characters") > 0).then(pl.col("duration") / pl.col("characters"))
    )


def evidence_types() -> pl.Schema:
    """The types of the columns that a rule can name."""
    return schema(EVIDENCE)
