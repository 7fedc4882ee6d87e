"""What content flags say of a batch: shares, counts and pictures. Pure functions on tables."""

from dataclasses import dataclass

import polars as pl

from podcast_assets.common.plots import draw_histograms
from podcast_assets.moderation.judging import FLAGGED, NEEDS_REVIEW, NOT_JUDGED

SEGMENT_FLAGS = pl.Struct(
    {
        "policy": pl.String,
        "label": pl.String,
        "probability": pl.Float64,
        "verdict": pl.String,
    }
)
"""What one label of a policy says of a segment."""


@dataclass(frozen=True)
class FlagSummary:
    """Counts of a batch's content flags. A window counts once under each policy."""

    windows: int
    flagged: int
    """Windows with a flagged label."""
    needs_review: int
    """Windows with an unanswered label."""
    not_judged: int
    """Windows in another language than the policy's."""
    tokens_in: int
    tokens_out: int
    price: float | None
    """USD; None where no price is set."""

    @property
    def flagged_share(self) -> float:
        """Share of the judged windows that are flagged, 0 to 1."""
        return self._share(self.flagged)

    @property
    def needs_review_share(self) -> float:
        """Share of the judged windows with an unanswered label, 0 to 1."""
        return self._share(self.needs_review)

    @property
    def judged(self) -> int:
        """Windows that a classifier was to judge."""
        return self.windows - self.not_judged

    def _share(self, windows: int) -> float:
        return windows / self.judged if self.judged else 0.0


def summarize(flags: pl.DataFrame) -> FlagSummary:
    """Count windows and what they cost."""
    windows = flags.group_by("policy", "episode_id", "window").agg(
        *((pl.col("verdict") == v).any().alias(v) for v in (FLAGGED, NEEDS_REVIEW, NOT_JUDGED))
    )
    price = flags["price"].drop_nulls()
    return FlagSummary(
        windows=windows.height,
        flagged=int(windows[FLAGGED].sum()),
        needs_review=int(windows[NEEDS_REVIEW].sum()),
        not_judged=int(windows[NOT_JUDGED].sum()),
        tokens_in=int(flags["tokens_in"].sum()),
        tokens_out=int(flags["tokens_out"].sum()),
        price=float(price.sum()) if price.len() else None,
    )


def label_counts(flags: pl.DataFrame) -> pl.DataFrame:
    """Count windows by policy, label and verdict: policy, label, windows, flagged, clean, needs_review, not_judged, highest."""
    return (
        flags.group_by("policy", "label", maintain_order=True)
        .agg(
            windows=pl.len().cast(pl.Int64),
            **{v: (pl.col("verdict") == v).sum().cast(pl.Int64) for v in (FLAGGED, "clean", NEEDS_REVIEW, NOT_JUDGED)},
            highest=pl.col("probability").max(),
        )
        .sort("policy", "label")
    )


def review_reasons(flags: pl.DataFrame) -> dict[str, int]:
    """Reason → number of rows without a probability, for people."""
    unanswered = flags.filter(pl.col("reason").is_not_null())
    return dict(unanswered["reason"].value_counts(sort=True).iter_rows())


def plot_probabilities(flags: pl.DataFrame) -> bytes:
    """Draw how probabilities are distributed, one line per policy and label, as PNG."""
    series = [
        (f"{policy}: {label}", rows["probability"].drop_nulls().to_list())
        for (policy, label), rows in sorted(flags.partition_by("policy", "label", as_dict=True).items())
    ]
    return draw_histograms([(name, values) for name, values in series if values], label="probability", of="windows")


def segment_flags(flags: pl.DataFrame) -> pl.DataFrame:
    """Return what each label says of each segment: segment_id, policy, label, probability, verdict; the highest of its windows.

    A segment is flagged if any of its windows is, and else needs review if any of them does.
    """
    verdict = pl.col("verdict")
    return (
        flags.explode("segment_ids")
        .rename({"segment_ids": "segment_id"})
        .group_by("segment_id", "policy", "label")
        .agg(
            probability=pl.col("probability").max(),
            verdict=pl.when((verdict == FLAGGED).any())
            .then(pl.lit(FLAGGED))
            .when((verdict == NEEDS_REVIEW).any())
            .then(pl.lit(NEEDS_REVIEW))
            .when((verdict == "clean").any())
            .then(pl.lit("clean"))
            .otherwise(pl.lit(NOT_JUDGED)),
        )
        .sort("segment_id", "policy", "label")
    )


def flags_by_segment(flags: pl.DataFrame) -> pl.DataFrame:
    """Return one row per segment: segment_id, and `content_flags`, a list of `SEGMENT_FLAGS` by policy and label."""
    rows = segment_flags(flags)
    return (
        rows.group_by("segment_id", maintain_order=True)
        .agg(content_flags=pl.struct("policy", "label", "probability", "verdict"))
        .cast({"content_flags": pl.List(SEGMENT_FLAGS)})
    )
