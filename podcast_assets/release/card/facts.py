"""Facts that a dataset card is rendered from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from podcast_assets.release.published import EPISODES, SEGMENTS, PublishedShard
from podcast_assets.store.schema import Columns

NOT_RELEASED: Columns = {
    "reason": (pl.String, "why the episodes were not released"),
    "episodes": (pl.Int64, "number of episodes not released for this reason"),
    "hours": (pl.Float64, "hours of these episodes"),
}


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of a release."""

    repo: str | None
    """`owner/name` on the Hub; None for a folder."""
    metadata: pl.DataFrame
    """One row per released segment: columns of `reviews.METADATA`, where `shard` and `audio_offset` are those of the release, and
    `content_flags` where moderation policies judged any batch."""
    episodes: pl.DataFrame
    """One row per released episode: `episode_id`, and, if known, title, podcast, podcast_id, source, license,
    attribution, duration (s)."""
    shards: list[PublishedShard]
    pipeline: Mapping[str, Any]
    """Content of `pipeline.json`: engines, versions, settings that change results, policy."""
    codec: str
    """Suffix of the audio members, without the dot."""
    sample_rate: int
    """Highest sample rate, Hz."""
    policy: str
    """Name and version of the policy that evaluated the segments."""
    not_released: pl.DataFrame
    """Columns of NOT_RELEASED."""
    review_report: Mapping[str, Any] | None = None
    """Measured error rates and agreement, as `store.review_tables.read_report` returns them."""
    gated: bool = False
    """Whether readers must request access."""

    @property
    def grains(self) -> list[str]:
        """Grains that have shards, segments first."""
        present = {s.grain for s in self.shards}
        return [g for g in (SEGMENTS, EPISODES) if g in present]
