"""What reviewers decided, in the metadata of a release. Sealed shards and the tables of the stages stay as they are."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from podcast_assets.common.wording import count_noun
from podcast_assets.quality.policies.policy import Policy, apply_policy
from podcast_assets.store.schema import HF_SHARDS, Columns, schema
from podcast_assets.store.schema_beside import REVIEWED

METADATA: Columns = {**HF_SHARDS, **REVIEWED}
"""Columns of `metadata/<language>/<batch>.parquet`."""


def add_reviews(rows: pl.DataFrame, reviewed: pl.DataFrame, policy: Policy | None) -> pl.DataFrame:
    """Add the columns REVIEWED to rows of `selection.index_samples`, and apply the policy's rules on them.

    `keep` and `reject_reasons` change by these rules only: whatever the other rules say was decided when the batch was scored.

    Args:
        rows: rows of `selection.index_samples`, of any batches.
        reviewed: rows of `store.review_tables.read_all_reviewed_segments`.
        policy: the policy whose rules on reviews apply; None for none.

    Raises:
        Misconfigured: a rule on reviews uses a column that the metadata do not have.
    """
    types = schema(REVIEWED)
    joined = (
        rows.join(
            reviewed.select("batch", "segment_id", *types.names()),
            on=["batch", "segment_id"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("reviewed").fill_null(value=False))
        .select(*rows.columns, *types.names())
    )
    rules = policy and policy.on_reviews()
    if not rules or not rules.rules or joined.is_empty():
        return joined
    judged = apply_policy(joined.select(*METADATA), rules)
    none = pl.lit([], dtype=pl.List(pl.String))
    reasons = pl.concat_list(pl.col("reject_reasons").fill_null(none), judged["reject_reasons"])
    return joined.with_columns(
        keep=pl.col("keep") & judged["keep"], reject_reasons=reasons.list.unique(maintain_order=True)
    )


def describe_reviews(metadata: pl.DataFrame, report: Mapping[str, Any] | None) -> str:
    """Describe for the card how much was reviewed, and the measured error rate and agreement; empty if nothing was reviewed.

    Args:
        metadata: rows of the released metadata; older tables may lack the columns REVIEWED.
        report: `store.review_tables.read_report`.
    """
    parts: list[str] = []
    if "reviewed" in metadata.columns:
        found = metadata.filter(pl.col("reviewed").fill_null(value=False))
        if found.height:
            changed = found.filter(pl.col("text_reviewed").is_not_null() & (pl.col("text_reviewed") != pl.col("text")))
            parts.append(
                f"People reviewed {_hours(float(found['duration'].sum()))} ({count_noun(found.height, 'segment')}) and corrected "
                f"the text of {count_noun(changed.height, 'segment')}: columns `reviewed`, `review_standing`, `text_reviewed`, "
                "`review_labels` and `speaker_name`. `text` and the audio are as the machines left them.\n"
            )
    rate = (report or {}).get("word_error_rate")
    if report and isinstance(rate, Mapping) and rate.get("rate") is not None:
        parts.append(_describe_sample(report, rate))
    return "\n".join(parts)


def _describe_sample(report: Mapping[str, Any], rate: Mapping[str, Any]) -> str:
    interval = (
        f" (95 % interval {rate['low'] * 100:.1f} to {rate['high'] * 100:.1f} %)" if rate.get("low") is not None else ""
    )
    lines = [
        f"The word error rate is **{rate['rate'] * 100:.1f} %**{interval}, measured on {count_noun(rate['segments'], 'segment')} "
        f"({_hours(report['seconds_reviewed'])}) of a stratified random sample of "
        f"{count_noun(round(report['segments_in_population']), 'segment')}, by language, podcast and quality score. "
        f"{count_noun(report['segments_reviewed_twice'], 'segment')} of it were corrected by two reviewers independently.\n"
    ]
    kappas = [row for row in report.get("kappas", ()) if row.get("kappa") is not None]
    if kappas:
        lines += ["Agreement of the two reviewers (Cohen's kappa, 95 % interval):\n", *map(_describe_kappa, kappas), ""]
    return "\n".join(lines)


def _describe_kappa(row: Mapping[str, Any]) -> str:
    interval = f" ({row['low']:.2f} to {row['high']:.2f})" if row.get("low") is not None else ""
    return f"- {row['label']}: {row['kappa']:.2f}{interval}, {count_noun(row['items'], 'item')}"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.1f} hours" if hours >= 1 else f"{hours * 60:,.1f} minutes"
