"""Checks of the content flags of a batch: pure functions to verdicts, with their thresholds. None of them blocks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podcast_assets.defs.checks.drift import share_steady
from podcast_assets.defs.checks.tables import Verdict
from podcast_assets.moderation.summary import FlagSummary

UNANSWERED_SHARE = 0.02
"""Largest accepted share of windows that need review: a classifier that often gives no readable answer is set up wrongly."""
FLAGGED_DRIFT = 0.1
"""Largest accepted difference (0 to 1) from the flagged share of earlier batches."""


@dataclass(frozen=True)
class FlaggedWindows:
    """Judged windows of a batch, and how many of them are flagged."""

    batch: str
    windows: float
    flagged: float


def policies_judged(policies: Sequence[str], not_made: Mapping[str, str]) -> Verdict:
    """Check that every moderation policy judged the batch.

    Args:
        policies: names of the policies.
        not_made: policy → why it judged nothing: a missing classifier, wrong answers to its probes, a lost server.
    """
    return Verdict(
        not not_made, {"policies": ", ".join(policies), **{f"not_judged_{k}": v for k, v in not_made.items()}}
    )


def windows_answered(summary: FlagSummary) -> Verdict:
    """Check that at most `UNANSWERED_SHARE` of the windows need review. Windows in other languages are only counted."""
    return Verdict(
        summary.needs_review_share <= UNANSWERED_SHARE,
        {
            "share": round(summary.needs_review_share, 4),
            "threshold": UNANSWERED_SHARE,
            "windows": summary.windows,
            "windows_in_other_languages": summary.not_judged,
        },
    )


def flagged_share_steady(current: FlaggedWindows, earlier: Sequence[FlaggedWindows]) -> Verdict:
    """Check that the flagged share of the windows differs by at most `FLAGGED_DRIFT` from that of earlier batches.

    Args:
        current: the batch to check.
        earlier: other batches under the same policies, the latest first.
    """
    return share_steady(
        (current.flagged, current.windows),
        [(e.batch, e.flagged, e.windows) for e in earlier],
        FLAGGED_DRIFT,
        "not enough earlier batches or windows to compare",
    )
