"""Checks of the quality scores of a batch: pure functions from tables to verdicts, with their thresholds.

None of them blocks: people should look at an unusual batch, but it may be fine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.defs.checks.drift import share_steady
from podcast_assets.defs.checks.tables import LANGUAGE_SHARE, Verdict
from podcast_assets.quality.text.rules import HALLUCINATIONS

KEPT_DRIFT = 0.2
"""Largest accepted difference (0 to 1) from the kept share of earlier batches: feeds differ by less, wrong settings by more."""
DEGRADED_SHARE = 0.1
"""Largest accepted share of degraded speech."""
COVERED_SHARE = 0.95
"""Smallest accepted share of speech that has a score."""
COVERED_SECONDS = 1.0
"""Minimum length of segments that must have scores: loudness and DNSMOS cannot be computed for very short ones."""
COVERED = ("dnsmos_ovrl", "dnsmos_p808", "snr_db", "bandwidth_hz", "loudness_lufs")
"""Scores that segments must have."""
HALLUCINATION_SHARE = 0.02
"""Largest accepted share of speech with a hallucinated text."""


@dataclass(frozen=True)
class KeptHours:
    """Hours of speech in a batch, and how many of them a policy keeps."""

    batch: str
    hours: float
    hours_kept: float


def kept_share_steady(current: KeptHours, earlier: Sequence[KeptHours]) -> Verdict:
    """Check that the kept share of the speech differs by at most `KEPT_DRIFT` from that of earlier batches.

    Args:
        current: the batch to check.
        earlier: other batches under the same policy, the latest first.
    """
    return share_steady(
        (current.hours_kept, current.hours),
        [(kept.batch, kept.hours_kept, kept.hours) for kept in earlier],
        KEPT_DRIFT,
        "not enough earlier batches or speech to compare",
    )


def degraded_share(rows: pl.DataFrame, *others: pl.DataFrame) -> Verdict:
    """Check that at most `DEGRADED_SHARE` of the speech was degraded by any stage.

    Args:
        rows: quality scores, with `duration` and `degraded`.
        others: tables of other stages with the same segments, with `degraded`.
    """
    ids = [t.filter(pl.col("degraded"))["segment_id"] for t in (rows, *others)]
    degraded = rows.filter(pl.col("segment_id").is_in(pl.concat(ids).implode()))
    share = _share(degraded, rows)
    return Verdict(share <= DEGRADED_SHARE, {"share": round(share, 4), "threshold": DEGRADED_SHARE})


def scores_covered(rows: pl.DataFrame) -> Verdict:
    """Check that at least `COVERED_SHARE` of the speech has each score of `COVERED`, in segments of `COVERED_SECONDS` or more."""
    long_enough = rows.filter(pl.col("duration") >= COVERED_SECONDS)
    shares = {c: round(_share(long_enough.filter(pl.col(c).is_not_null()), long_enough), 4) for c in COVERED}
    return Verdict(
        long_enough.is_empty() or min(shares.values()) >= COVERED_SHARE,
        {"threshold": COVERED_SHARE, "segments": long_enough.height, **shares},
    )


def hallucination_share(rows: pl.DataFrame) -> Verdict:
    """Check that at most `HALLUCINATION_SHARE` of the speech has a text that the text rules call hallucinated.

    Args:
        rows: quality scores joined with segments and transcripts (`collect_evidence`).
    """
    hallucinated = rows.filter("hallucinated")
    share = _share(hallucinated, rows)
    signs = (
        hallucinated["text_flags"]
        .explode(empty_as_null=False)
        .value_counts()
        .sort("count", "text_flags", descending=[True, False])
    )
    return Verdict(
        share <= HALLUCINATION_SHARE,
        {
            "share": round(share, 4),
            "threshold": HALLUCINATION_SHARE,
            "signs": ", ".join(f"{n} {sign}" for sign, n in signs.iter_rows() if sign in HALLUCINATIONS) or "none",
            "segments": hallucinated["segment_id"].to_list()[:20],
        },
    )


def kept_in_one_language(rows: pl.DataFrame) -> Verdict:
    """Check that at most `LANGUAGE_SHARE` of the kept speech sounds or reads like another language than the segment's."""
    kept = rows.filter("keep")
    other_language = kept.filter(
        pl.col("flags").list.contains("language_differs") | pl.col("text_flags").list.contains("wrong_language")
    )
    share = _share(other_language, kept)
    return Verdict(
        share <= LANGUAGE_SHARE,
        {
            "share": round(share, 4),
            "threshold": LANGUAGE_SHARE,
            "segments": other_language["segment_id"].to_list()[:20],
        },
    )


def _share(part: pl.DataFrame, whole: pl.DataFrame) -> float:
    """Return the share of the speech, 0 to 1; 0 if there is none."""
    total = float(whole["duration"].sum())
    return float(part["duration"].sum()) / total if total else 0.0
