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
    """Shards that were made anew under their path."""
    removed: list[str]
    kept: int
    """Shards that stayed as they were."""
    files: int
    """That the commit changes, other than shards."""
    bytes: int
    """Of shards and files that were brought."""
    totals: Mapping[str, Mapping[str, float]]
    """Grain → shards, samples, hours, bytes of the whole dataset."""
    not_released: pl.DataFrame
    """reason, episodes, hours."""
    shards: list[PublishedShard]
    """All of the dataset."""
    reasons: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Episodes that are not released: batch, episode_id, reason, detail. No title: Dagster keeps it with the run."""
    advice: str | None = None
    """What to set, where every episode is held back."""
    tables: list[str] = field(default_factory=list)
    """Of a dry run: published tables that change though no shard of their batch does."""
    podcasts_in_several_splits: int = 0
    still_published: pl.DataFrame = field(default_factory=pl.DataFrame)
    """Episodes that may not be published, and are, in batches that this store cannot make anew: batch, episode_id, detail."""


def result_to_json(done: ReleaseResult) -> dict[str, Any]:
    """Convert the result of a release to JSON values."""
    return {
        **{
            k: getattr(done, k)
            for k in ("where", "revision", "tag", "changed", "new", "anew", "removed", "kept", "bytes", "tables")
        },
        "totals": done.totals,
        "not_released": done.not_released.to_dicts(),
        "withheld": done.reasons.to_dicts(),
        "podcasts_in_several_splits": done.podcasts_in_several_splits,
        "still_published": done.still_published.to_dicts(),
        "advice": done.advice,
    }


def describe_still_published(done: ReleaseResult) -> str:
    """Describe episodes that are published although they must not be, and what to do."""
    rows = done.still_published
    named = ", ".join(f"{b}/{e} ({why})" for b, e, why in rows.head(5).iter_rows())
    more = f" and {rows.height - 5} more" if rows.height > 5 else ""
    batches = " --drop ".join(rows["batch"].unique().sort())
    return (
        f"{done.where}: {named}{more} may not be published and still is, and this store cannot make the shards anew: it does not "
        "have the batch, or hf_shards of it was written by another version. All else is released. Materialize hf_shards of it, "
        f"take it down in the store that has it, or take the batch out with `release --drop {batches}`"
    )


def commit_message(told: ReleaseResult) -> str:
    """Make the commit message."""
    totals = told.totals.get(SEGMENTS, {})
    return (
        f"Release of {totals.get('samples', 0):,} segments, {totals.get('hours', 0.0):,.1f} h: {len(told.new)} new shards, "
        f"{len(told.anew)} made anew, {len(told.removed)} removed"
    )
