"""Table `quality_scores`: signal scores, text measures and the policy's decision.

The last two need no model and are recomputed at every commit, so that changed texts or policies never score the signal again.
"""

from collections.abc import Mapping

import polars as pl

from podcast_assets.quality.comparison import compare_texts
from podcast_assets.quality.policies.evidence import collect_evidence
from podcast_assets.quality.policies.policy import Policy, apply_policy
from podcast_assets.quality.punctuators.punctuation import same_words
from podcast_assets.quality.text.care import text_care
from podcast_assets.quality.text.measures import text_measures
from podcast_assets.store.schema import PUNCTUATED_TEXTS, QUALITY_SCORES, SECOND_OPINIONS, empty_table, schema


def add_text_and_policy(
    scores: pl.DataFrame,
    segments: pl.DataFrame,
    transcripts: pl.DataFrame,
    policy: Policy,
    *,
    references: Mapping[str, pl.DataFrame] | None = None,
    second: pl.DataFrame | None = None,
    before: pl.DataFrame | None = None,
    punctuated: pl.DataFrame | None = None,
    care: frozenset[str] = frozenset(),
) -> pl.DataFrame:
    """Add measures of the text, `keep`, `reject_reasons` and `policy` to scores of the signal.

    Args:
        scores: signal scores, rows of the stage `score`.
        segments: the table of `diarized_segments`.
        transcripts: the table of `transcripts`.
        policy: decides `keep`.
        references: episode → publishers' transcripts.
        second: transcripts of a second recognizer, rows of `podcast_assets.store.schema.SECOND_OPINIONS`.
        before: the previously committed table, whose comparisons are reused.
        punctuated: texts with punctuation, rows of `podcast_assets.store.schema.PUNCTUATED_TEXTS`; texts with other words are
            ignored.
        care: requested optional columns, of `podcast_assets.quality.text.care.CARES`.

    Raises:
        Misconfigured: the policy uses a column that does not exist.
    """
    about = collect_evidence(scores, segments, transcripts)
    measured = (
        about.hstack(text_measures(about))
        .hstack(text_care(about, care))
        .hstack(
            compare_texts(about, references or {}, empty_table(SECOND_OPINIONS) if second is None else second, before)
        )
        .hstack(_matching_punctuation(about, empty_table(PUNCTUATED_TEXTS) if punctuated is None else punctuated))
    )
    judged = apply_policy(measured, policy)
    types = schema(QUALITY_SCORES)
    return judged.with_columns(policy=pl.lit(policy.label)).select(types.names())


def _matching_punctuation(rows: pl.DataFrame, punctuated: pl.DataFrame) -> pl.DataFrame:
    """Return the punctuated texts; null where the text has changed since."""
    both = rows.select("segment_id", "text").join(
        punctuated.select("segment_id", "text_punctuated"), on="segment_id", how="left", maintain_order="left"
    )
    kept = [
        new if new is not None and same_words(text or "", new) else None
        for text, new in both.select("text", "text_punctuated").iter_rows()
    ]
    return pl.DataFrame({"text_punctuated": kept}, schema={"text_punctuated": pl.String})
