"""Settings of shards."""

from typing import ClassVar, Literal

from pydantic import Field

from podcast_assets.config.groups.group import SettingsGroup


class ShardSettings(SettingsGroup):
    """Contents and size of the shards."""

    heading: ClassVar = "Shards"

    shard_codec: Literal["flac", "opus", "mp3", "wav"] = Field(default="flac", description="Audio codec of the shards.")
    shard_rate: int = Field(
        default=24_000, ge=8_000, description="Highest sample rate in the shards, in Hz. Audio is never upsampled."
    )
    shard_bytes: int = Field(
        default=1_000_000_000, ge=10_240, description="A shard is closed once it reaches this size."
    )
    shard_channels: Literal["mono", "source"] = Field(
        default="mono",
        description="Channels in the shards: mono, or those of the source, where more than two are mixed to one.",
    )
    loudness: Literal["none", "emilia"] = Field(
        default="none",
        description="Level of the audio in the shards: unchanged, or one gain per episode as in Emilia "
        "(docs/reference/shards.md).",
    )
    grains: Literal["segments", "segments,episodes"] = Field(
        default="segments",
        description="What is sealed: segments, or also whole episodes (docs/reference/shards.md).",
    )

    @property
    def whole_episodes(self) -> bool:
        """Whether whole episodes are sealed beside the segments."""
        return "episodes" in self.grains.split(",")
