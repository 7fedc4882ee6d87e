"""Result of a release, for people and programs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.release.published import SEGMENTS, PublishedShard


@dataclass(frozen=True)
class ReleaseResult:
    """Result of a release, or of its dry run."""

    where: str
    revision: str | None
    tag: str | None
    changed: bool
    """Whether there is a new commit."""
    new: list[str]
    anew: list[str]
    """Shards that were rebuilt under their path."""
    removed: list[str]
    kept: int
    """Number of unchanged shards."""
    files: int
    """Number of changed files other than shards."""
    bytes: int
    """Size of uploaded shards and files."""
    totals: Mapping[str, Mapping[str, float]]
    """Grain → shards, samples, hours, bytes of the whole dataset."""
    not_released: pl.DataFrame
    """reason, episodes, hours."""
    shards: list[PublishedShard]
    """All shards of the dataset."""
    reasons: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Episodes that are not released: batch, episode_id, reason, detail; without titles, as Dagster stores this with the run."""
    advice: str | None = None
    """Setting to change, if every episode is withheld."""
    tables: list[str] = field(default_factory=list)
    """In a dry run: published tables that change although no shard of their batch does."""
    podcasts_in_several_splits: int = 0
    still_published: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Published episodes that must not be published, in batches that this store cannot rebuild: batch, episode_id, detail."""


def result_to_json(result: ReleaseResult) -> dict[str, Any]:
    """Convert the result of a release to JSON values."""
    return {
        **{
            k: getattr(result, k)
            for k in ("where", "revision", "tag", "changed", "new", "anew", "removed", "kept", "bytes", "tables")
        },
        "totals": result.totals,
        "not_released": result.not_released.to_dicts(),
        "withheld": result.reasons.to_dicts(),
        "podcasts_in_several_splits": result.podcasts_in_several_splits,
        "still_published": result.still_published.to_dicts(),
        "advice": result.advice,
    }


def describe_still_published(result: ReleaseResult) -> str:
    """Describe episodes that are published although they must not be, and what to do."""
    rows = result.still_published
    named = ", ".join(f"{b}/{e} ({detail})" for b, e, detail in rows.head(5).iter_rows())
    more = f" and {rows.height - 5} more" if rows.height > 5 else ""
    batches = " --drop ".join(rows["batch"].unique().sort())
    return (
        f"{result.where}: {named}{more} must not be published but is still in the dataset. This store cannot rebuild its shards, "
        "because it does not have the batch, or because hf_shards or episode_shards of it was written by another version. "
        "Everything else was released. Materialize that asset again, take the episode down in the store that has it, "
        f"or remove the batch with `release --drop {batches}`"
    )


def commit_message(result: ReleaseResult) -> str:
    """Make the commit message."""
    totals = result.totals.get(SEGMENTS, {})
    return (
        f"Release of {totals.get('samples', 0):,} segments, {totals.get('hours', 0.0):,.1f} h: {len(result.new)} new shards, "
        f"{len(result.anew)} rebuilt, {len(result.removed)} removed"
    )
