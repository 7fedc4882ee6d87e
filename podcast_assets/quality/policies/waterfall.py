"""Losses of a policy: hours and segments that each reason rejects, first and alone."""

from collections.abc import Iterable, Sequence

import polars as pl

LOSSES = pl.Schema(
    {
        "reason": pl.String,
        "segments": pl.Int64,
        "hours": pl.Float64,
        "first_segments": pl.Int64,
        "first_hours": pl.Float64,
        "own_segments": pl.Int64,
        "own_hours": pl.Float64,
    }
)
"""One row per reason: all segments with it; those with it as the first reason, which add up to all rejected segments; and those
with no other reason, which would be kept without it."""


def rejection_losses(judged: pl.DataFrame, order: Sequence[str] = ()) -> pl.DataFrame:
    """Compute what each reason rejects, as `LOSSES`: in the policy's order, then other reasons by size.

    Args:
        judged: segments with `duration` (s) and `reject_reasons`.
        order: reasons of the policy.
    """
    rejected = judged.select("duration", "reject_reasons").filter(pl.col("reject_reasons").list.len() > 0)
    by_reason = (
        rejected.with_columns(first=pl.col("reject_reasons").list.first(), own=pl.col("reject_reasons").list.len() == 1)
        .explode("reject_reasons")
        .rename({"reject_reasons": "reason"})
        .with_columns(first=pl.col("first") == pl.col("reason"))
        .group_by("reason")
        .agg(
            segments=pl.len(),
            hours=_sum_hours(),
            first_segments=pl.col("first").sum(),
            first_hours=_sum_hours("first"),
            own_segments=pl.col("own").sum(),
            own_hours=_sum_hours("own"),
        )
        .cast(LOSSES)  # type: ignore[arg-type]
    )
    return _sort_reasons(by_reason.select(LOSSES.names()), order)


def sum_losses(parts: Iterable[pl.DataFrame], order: Sequence[str] = ()) -> pl.DataFrame:
    """Sum the losses of several batches."""
    frames = [pl.DataFrame(schema=LOSSES), *parts]
    return _sort_reasons(pl.concat(frames).group_by("reason").sum().select(LOSSES.names()), order)


def _sum_hours(flag: str | None = None) -> pl.Expr:
    duration = pl.col("duration").fill_null(0.0)
    return (duration.filter(pl.col(flag)) if flag else duration).sum() / 3600


def _sort_reasons(frame: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    place = {reason: number for number, reason in enumerate(order)}
    return (
        frame.with_columns(place=pl.col("reason").replace_strict(place, default=len(place), return_dtype=pl.Int64))
        .sort("place", "first_hours", "reason", descending=[False, True, False])
        .drop("place")
    )
