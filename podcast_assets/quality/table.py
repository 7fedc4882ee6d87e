"""The table of `quality_scores`: scores of the signal, which a model made, with measures of the text and the policy's verdict.

The latter cost no model, so they are made anew at every commit: other texts or another policy never score a signal twice.
"""

from collections.abc import Mapping

import polars as pl

from podcast_assets.quality.agreement import agreement, error_rates
from podcast_assets.quality.evidence import evidence
from podcast_assets.quality.policy import Policy, apply
from podcast_assets.quality.punctuation import same_words
from podcast_assets.quality.spoken_form import spoken_words
from podcast_assets.quality.text import text_measures
from podcast_assets.quality.text_care import text_care
from podcast_assets.schema import PUNCTUATED_TEXTS, QUALITY_SCORES, REFERENCES, SECOND_OPINIONS, empty, schema


def with_text_and_policy(
    scores: pl.DataFrame,
    segments: pl.DataFrame,
    transcripts: pl.DataFrame,
    policy: Policy,
    *,
    references: Mapping[str, pl.DataFrame] | None = None,
    second: pl.DataFrame | None = None,
    punctuated: pl.DataFrame | None = None,
    care: frozenset[str] = frozenset(),
) -> pl.DataFrame:
    """Add measures of the text, `keep`, `reject_reasons` and `policy` to scores of the signal.

    Args:
        scores: rows of the stage `score`.
        segments: the table of `diarized_segments`.
        transcripts: the table of `transcripts`.
        policy: decides `keep`.
        references: episode → its transcripts that publishers made.
        second: what a second recognizer heard, rows of `podcast_assets.schema.SECOND_OPINIONS`.
        punctuated: texts with punctuation, rows of `podcast_assets.schema.PUNCTUATED_TEXTS`; those of other words are left out.
        care: optional columns that are wanted, of `podcast_assets.quality.text_care.CARES`.

    Raises:
        Misconfigured: the policy asks for a column that no table has.
    """
    about = evidence(scores, segments, transcripts, words=True)
    measured = (
        about.hstack(text_measures(about))
        .hstack(text_care(about, care))
        .join(_agreements(about, references or {}), on="segment_id", how="left", maintain_order="left")
        .hstack(_punctuated(about, empty(PUNCTUATED_TEXTS) if punctuated is None else punctuated))
        .hstack(_second(about, empty(SECOND_OPINIONS) if second is None else second))
        .drop("words")
    )
    judged = apply(measured, policy)
    types = schema(QUALITY_SCORES)
    return judged.with_columns(policy=pl.lit(policy.label)).select(types.names())


def _agreements(rows: pl.DataFrame, references: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Agreement of the segments of each episode that has references."""
    columns = rows.select("segment_id", "episode_id", "start", "end", "text", "language").sort(
        "start", maintain_order=True
    )
    known = {str(k[0]): v for k, v in columns.partition_by("episode_id", as_dict=True).items() if k[0] in references}
    return pl.concat(
        [agreement(columns.clear(), empty(REFERENCES)), *(agreement(v, references[k]) for k, v in known.items())]
    )


def _punctuated(rows: pl.DataFrame, punctuated: pl.DataFrame) -> pl.DataFrame:
    """The texts with punctuation: none where the text was another one then."""
    both = rows.select("segment_id", "text").join(
        punctuated.select("segment_id", "text_punctuated"), on="segment_id", how="left", maintain_order="left"
    )
    kept = [
        new if new is not None and same_words(text or "", new) else None
        for text, new in both.select("text", "text_punctuated").iter_rows()
    ]
    return pl.DataFrame({"text_punctuated": kept}, schema={"text_punctuated": pl.String})


def _second(rows: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """Error rates against the second recognizer, whose segments are the same."""
    both = rows.select("segment_id", "text", "language").join(
        second.select("segment_id", other="text"), on="segment_id", how="left", maintain_order="left"
    )
    compared = both.drop_nulls("other")
    languages = compared["language"].to_list()
    ours, theirs = (spoken_words(compared[c].fill_null("").to_list(), languages) for c in ("text", "other"))
    rates = pl.DataFrame(
        [error_rates(a, b) for a, b in zip(ours, theirs, strict=True)],
        schema={"second_wer": pl.Float64, "second_cer": pl.Float64},
        orient="row",
    ).hstack(compared.select("segment_id"))
    return both.join(rates, on="segment_id", how="left", maintain_order="left").select("second_wer", "second_cer")
