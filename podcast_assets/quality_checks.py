"""What is asserted of the scores of a batch as a whole: pure functions from tables to verdicts, each with its threshold.

None of them blocks: a strange batch is for people to look at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from podcast_assets.checks import LANGUAGE_SHARE, Verdict
from podcast_assets.quality.policy import Policy, apply
from podcast_assets.quality.rules import Rule

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

HALLUCINATION_SIGNS = Policy(
    name="hallucination-signs",
    version=1,
    rules=(
        # Whisper's own sign of a loop (Radford et al. 2022, section 4.5)
        Rule(column="compression_ratio", maximum=2.4, nulls_pass=True, reason="compresses too well"),
        Rule(column="ngram_repetition", maximum=0.5, nulls_pass=True, reason="most of it repeats"),
        Rule(column="chars_per_second", maximum=30.0, nulls_pass=True, reason="faster than anybody speaks"),
        Rule(column="no_speech_prob", maximum=0.6, nulls_pass=True, reason="text where no speech is heard"),
        Rule(column="hallucinated", one_of=(False,), nulls_pass=True, optional=True, reason="told by a rule on texts"),
    ),
)
"""What texts that a recognizer made up look like. Only segments with text are asked."""


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
    """At most 2 % of the speech has a text that shows one of the `HALLUCINATION_SIGNS`.

    Args:
        rows: the scores with what rules can look at (`quality.evidence`).
    """
    said = rows.filter(pl.col("text").str.strip_chars() != "").drop("keep", "reject_reasons", strict=False)
    odd = apply(said, HALLUCINATION_SIGNS).filter(~pl.col("keep"))
    share = _share(odd, rows)
    signs = odd["reject_reasons"].explode(empty_as_null=False).value_counts().sort("count", descending=True)
    return Verdict(
        share <= HALLUCINATION_SHARE,
        {
            "share": round(share, 4),
            "threshold": HALLUCINATION_SHARE,
            "signs": ", ".join(f"{n} {sign}" for sign, n in signs.iter_rows()) or "none",
            "segments": odd["segment_id"].to_list()[:20],
        },
    )


def kept_in_one_language(rows: pl.DataFrame) -> Verdict:
    """At most 5 % of what is kept sounds, or reads, like another language than the segment's."""
    kept = rows.filter("keep")
    odd = kept.filter(
        pl.col("flags").list.contains("language_differs")
        | (pl.col("text_language").is_not_null() & (pl.col("text_language") != pl.col("language")))
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
