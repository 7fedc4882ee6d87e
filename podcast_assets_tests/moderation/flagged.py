"""Rows of `content_flags` without computation."""

from collections.abc import Mapping, Sequence

import polars as pl

from podcast_assets.moderation.texts import text_hash
from podcast_assets.store.schema import CONTENT_FLAGS, make_table


def flag_rows(
    *rows: tuple[str, str, Sequence[str], float | None],
    texts: Mapping[str, str] | None = None,
    threshold: float = 0.5,
) -> pl.DataFrame:
    """Make rows of (policy, label, ids of segments, probability); a missing probability needs review.

    Args:
        rows: the rows, each of a window of its own.
        texts: segment → text that was judged; empty texts by default.
        threshold: probability from which a label is flagged.
    """
    made = []
    for window, (policy, label, segments, probability) in enumerate(rows):
        verdict = "needs_review" if probability is None else "flagged" if probability >= threshold else "clean"
        made.append(
            dict.fromkeys(CONTENT_FLAGS)
            | {
                "episode_id": segments[0].split("-")[0],
                "policy": policy,
                "label": label,
                "window": window,
                "segment_ids": list(segments),
                "text_hashes": [text_hash((texts or {}).get(s, "")) for s in segments],
                "probability": probability,
                "threshold": threshold,
                "verdict": verdict,
                "fingerprint": "f" * 32,
            }
        )
    return make_table(made, CONTENT_FLAGS)
