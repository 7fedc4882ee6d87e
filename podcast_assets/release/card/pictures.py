"""Plots of a card."""

import polars as pl

from podcast_assets.quality import plots as plots_quality
from podcast_assets.quality.policies.waterfall import rejection_losses
from podcast_assets.release.card.facts import DatasetFacts


def draw_pictures(facts: DatasetFacts) -> dict[str, tuple[str, bytes]]:
    """Draw the plots: path in the dataset → caption and PNG; empty without segments."""
    rows = facts.metadata.with_columns(
        pl.col("keep").fill_null(False), bandwidth_hz=pl.coalesce("source_bandwidth_hz", "bandwidth_hz")
    )
    if rows.is_empty():
        return {}
    found = {
        "assets/quality.png": (
            "DNSMOS, signal-to-noise ratio, bandwidth, durations, languages, and speakers per episode",
            plots_quality.plot_distributions(rows),
        )
    }
    if not rows["keep"].all():
        hours = float(rows["duration"].sum()) / 3600
        found["assets/policy.png"] = (
            "Hours kept by the policy, after each reason for rejection",
            plots_quality.plot_waterfall(rejection_losses(rows), hours, policy=facts.policy),
        )
    return found
