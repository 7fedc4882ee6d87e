"""The table of `quality_scores`: scores of the signal, which a model made, with measures of the text and the policy's verdict.

The latter cost no model, so they are made anew at every commit: other texts or another policy never score a signal twice.
"""

import polars as pl

from podcast_assets.quality.more_scores import with_more_scores
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
    about = (
        with_more_scores(scores)
        .join(
            segments.select("segment_id", "start", "end", "duration", "speaker", "overlap"),
            on="segment_id",
            how="left",
            maintain_order="left",
        )
        .join(
            transcripts.drop("episode_id", "segment_index", "engine", "degraded", "fingerprint", "words"),
            on="segment_id",
            how="left",
            maintain_order="left",
        )
    )
    measures = [text_measures(t or "", d or 0.0) for t, d in about.select("text", "duration").iter_rows()]
    types = schema(QUALITY_SCORES)
    names = ("chars_per_second", "words_per_second", "unique_word_share", "ngram_repetition")
    judged = apply(about.hstack(pl.DataFrame(measures, schema={n: types[n] for n in names})), policy)
    return judged.with_columns(policy=pl.lit(policy.label)).select(types.names())
