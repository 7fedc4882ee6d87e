"""The table of `quality_scores`: scores of the signal, which a model made, with measures of the text and the policy's verdict.

The latter cost no model, so they are made anew at every commit: other texts or another policy never score a signal twice.
"""

import polars as pl

from podcast_assets.quality.policy import Policy, apply
from podcast_assets.quality.text import text_measures
from podcast_assets.schema import QUALITY_SCORES, schema


def with_text_and_policy(
    scores: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame, policy: Policy
) -> pl.DataFrame:
    """Add measures of the text, `keep`, `reject_reasons` and `policy` to scores of the signal.

    Args:
        scores: rows of the stage `score`.
        segments: the table of `diarized_segments`.
        transcripts: the table of `transcripts`.
        policy: decides `keep`.

    Raises:
        Misconfigured: the policy asks for a column that no table has.
    """
    about = scores.join(
        segments.select("segment_id", "start", "end", "duration", "speaker", "overlap"),
        on="segment_id",
        how="left",
        maintain_order="left",
    ).join(
        transcripts.drop("episode_id", "segment_index", "engine", "degraded", "fingerprint"),
        on="segment_id",
        how="left",
        maintain_order="left",
    )
    measured = about.hstack(text_measures(about)).drop("words")
    judged = apply(measured, policy)
    types = schema(QUALITY_SCORES)
    return judged.with_columns(policy=pl.lit(policy.label)).select(types.names())
