"""What is asserted of the scores of a batch as a whole: pure functions from tables to verdicts, each with its threshold.

None of them blocks: a strange batch is for people to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.defs.checks.tables import LANGUAGE_SHARE, Verdict
from podcast_assets.quality.text.rules import HALLUCINATIONS

EARLIER_BATCHES = 5
"""Batches before this one that its kept share is compared with, at most."""
EARLIER_AT_LEAST = 2
"""Fewer say nothing of what is usual."""
KEPT_DRIFT = 0.2
"""Difference in the kept share, 0 to 1, from that of the batches before. Feeds differ by less; a wrong model or setting by more."""
DEGRADED_SHARE = 0.1
COVERED_SHARE = 0.95
COVERED_SECONDS = 1.0
"""Shorter segments may lack scores: loudness and DNSMOS need some signal."""
COVERED = ("dnsmos_ovrl", "dnsmos_p808", "snr_db", "bandwidth_hz", "loudness_lufs")
HALLUCINATION_SHARE = 0.02


@dataclass(frozen=True)
class Kept:
    """What a policy kept of a batch."""

    batch: str
    hours: float
    hours_kept: float


def kept_share_steady(this: Kept, earlier: Sequence[Kept]) -> Verdict:
    """The kept share of the speech differs by at most 0.2 from that of the batches before.

    Args:
        this: the batch.
        earlier: other batches under the same policy, the last one first.
    """
    before = [kept for kept in earlier if kept.hours > 0][:EARLIER_BATCHES]
    facts: dict[str, object] = {"threshold": KEPT_DRIFT, "compared_with": [kept.batch for kept in before]}
    if not this.hours or len(before) < EARLIER_AT_LEAST:
        return Verdict(passed=True, facts=facts | {"note": "too little to compare with"})
    share = this.hours_kept / this.hours
    usual = sum(kept.hours_kept for kept in before) / sum(kept.hours for kept in before)
    return Verdict(
        abs(share - usual) <= KEPT_DRIFT,
        facts | {"share": round(share, 4), "share_of_batches_before": round(usual, 4)},
    )


def degraded_share(rows: pl.DataFrame, *others: pl.DataFrame) -> Verdict:
    """At most a tenth of the speech is degraded, whichever stage made it so.

    Args:
        rows: the scores, with `duration` and `degraded`.
        others: tables of other stages about the same segments, with `degraded`.
    """
    bad = [t.filter(pl.col("degraded"))["segment_id"] for t in (rows, *others)]
    found = rows.filter(pl.col("segment_id").is_in(pl.concat(bad).implode()))
    share = _share(found, rows)
    return Verdict(share <= DEGRADED_SHARE, {"share": round(share, 4), "threshold": DEGRADED_SHARE})


def scores_covered(rows: pl.DataFrame) -> Verdict:
    """Of segments of a second or more, 95 % of the speech has each of the scores in `COVERED`."""
    asked = rows.filter(pl.col("duration") >= COVERED_SECONDS)
    shares = {c: round(_share(asked.filter(pl.col(c).is_not_null()), asked), 4) for c in COVERED}
    return Verdict(
        asked.is_empty() or min(shares.values()) >= COVERED_SHARE,
        {"threshold": COVERED_SHARE, "segments": asked.height, **shares},
    )


def hallucination_share(rows: pl.DataFrame) -> Verdict:
    """At most 2 % of the speech has a text that was not said, as the rules on texts tell.

    Args:
        rows: the scores with what rules can look at (`quality.policies.evidence.collect_evidence`).
    """
    odd = rows.filter("hallucinated")
    share = _share(odd, rows)
    signs = (
        odd["text_flags"]
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
            "segments": odd["segment_id"].to_list()[:20],
        },
    )


def kept_in_one_language(rows: pl.DataFrame) -> Verdict:
    """At most 5 % of what is kept sounds, or reads, like another language than the segment's."""
    kept = rows.filter("keep")
    odd = kept.filter(
        pl.col("flags").list.contains("language_differs") | pl.col("text_flags").list.contains("wrong_language")
    )
    share = _share(odd, kept)
    return Verdict(
        share <= LANGUAGE_SHARE,
        {"share": round(share, 4), "threshold": LANGUAGE_SHARE, "segments": odd["segment_id"].to_list()[:20]},
    )


def _share(part: pl.DataFrame, whole: pl.DataFrame) -> float:
    """Share of the speech, 0 to 1; 0 of nothing."""
    total = float(whole["duration"].sum())
    return float(part["duration"].sum()) / total if total else 0.0
