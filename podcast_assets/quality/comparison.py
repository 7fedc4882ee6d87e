"""Error rates of a batch's texts against publishers' transcripts and a second recognizer.

Converting a text to its spoken form takes a third of a millisecond, so earlier results are reused from the previous table.
"""

import hashlib
from collections.abc import Mapping

import polars as pl

from podcast_assets.quality.agreement import error_rates, transcript_agreement
from podcast_assets.quality.text.spoken_form import spoken_words
from podcast_assets.store.schema import QUALITY_SCORES, schema

COMPARISON_COLUMNS = ("reference_words", "reference_wer", "reference_cer", "second_wer", "second_cer", "compared")
"""Columns of the table `quality_scores` that this module computes."""
_VERSION = "1"
"""Version of the comparison: changing it recomputes all rates."""
_COMPARED = ("segment_id", "start", "end", "text", "language")


def compare_texts(
    rows: pl.DataFrame,
    references: Mapping[str, pl.DataFrame],
    second: pl.DataFrame,
    before: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Compute one row of `COMPARISON_COLUMNS` per segment, in the same order; null for episodes with nothing to compare with.

    Args:
        rows: `segment_id`, `episode_id`, `start`, `end`, `text` and `language`.
        references: episode → publishers' transcripts.
        second: transcripts of a second recognizer, rows of `podcast_assets.store.schema.SECOND_OPINIONS`.
        before: the previous table `quality_scores`; episodes with unchanged texts keep their rates.
    """
    both = rows.select("episode_id", *_COMPARED).join(
        second.select("segment_id", other="text"), on="segment_id", how="left", maintain_order="left"
    )
    done = _group_by("compared", before.drop_nulls("compared")) if before is not None else {}
    types = {name: schema(QUALITY_SCORES)[name] for name in ("segment_id", *COMPARISON_COLUMNS)}
    found = [pl.DataFrame(schema=types)]
    for episode, part in _group_by("episode_id", both).items():
        cues = references.get(episode)
        if cues is None and part["other"].null_count() == part.height:
            continue
        key = _comparison_key(part, cues)
        rates = done[key] if key in done else _episode_rates(part, cues).with_columns(compared=pl.lit(key))
        found.append(rates.select(pl.col(name).cast(dtype) for name, dtype in types.items()))
    every = pl.concat(found)
    return rows.select("segment_id").join(every, on="segment_id", how="left", maintain_order="left").drop("segment_id")


def _group_by(column: str, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {str(key[0]): part for key, part in frame.partition_by(column, as_dict=True).items()}


def _comparison_key(part: pl.DataFrame, cues: pl.DataFrame | None) -> str:
    """Hash everything that the rates of an episode depend on."""
    texts = [_VERSION, part.write_ndjson(), "" if cues is None else cues.write_ndjson()]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _episode_rates(part: pl.DataFrame, cues: pl.DataFrame | None) -> pl.DataFrame:
    """Compute the rates of an episode's segments."""
    rates = part.select("segment_id").join(
        _second_opinion_rates(part), on="segment_id", how="left", maintain_order="left"
    )
    if cues is None:
        nothing = {name: pl.lit(None) for name in COMPARISON_COLUMNS if name.startswith("reference_")}
        return rates.with_columns(**nothing)
    return rates.join(transcript_agreement(part.sort("start", maintain_order=True), cues), on="segment_id", how="left")


def _second_opinion_rates(part: pl.DataFrame) -> pl.DataFrame:
    """Compute error rates against the second recognizer, whose segments are the same."""
    compared = part.drop_nulls("other")
    languages = compared["language"].to_list()
    ours, theirs = (spoken_words(compared[c].fill_null("").to_list(), languages) for c in ("text", "other"))
    return pl.DataFrame(
        [(s, *error_rates(a, b)) for s, a, b in zip(compared["segment_id"], ours, theirs, strict=True)],
        schema={"segment_id": pl.String, "second_wer": pl.Float64, "second_cer": pl.Float64},
        orient="row",
    )
