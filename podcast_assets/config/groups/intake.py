"""Settings of arrivals, downloads and feeds."""

from typing import ClassVar, Literal

from pydantic import Field

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup


class IntakeSettings(SettingsGroup):
    """When a batch counts as arrived, and what is accepted."""

    heading: ClassVar = "Arrival and intake"

    settle_seconds: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=30.0,
        ge=0,
        description="Seconds for which the sensor must see a batch unchanged before it counts as arrived.",
    )
    require_ready: bool = Field(
        json_schema_extra=DEPLOYMENT,
        default=False,
        description="Folders count as arrived only once they contain a file called _READY, .ready or _SUCCESS.",
    )
    allow_links: bool = Field(
        json_schema_extra=DEPLOYMENT,
        default=False,
        description="Follow symbolic links under incoming/ and feeds/ and in folders given to run and submit. They can lead to "
        "any file that this user may read.",
    )
    meta_key: str = Field(
        default="meta_id",
        min_length=1,
        description="Column of the metadata that names the file of a row, without its suffix.",
    )
    archive_files: int = Field(
        default=100_000,
        ge=1,
        description="Maximum number of entries read from an archive; reading stops there.",
    )
    archive_ratio: float = Field(
        default=200.0,
        gt=1,
        description="How many times its own size an archive may unpack to, beyond the first 256 MB.",
    )
    max_hours: float = Field(
        default=48.0, gt=0, description="Longest recording, in hours of audio; a longer one fails."
    )
    tracks: Literal["first", "mix", "episodes", "speakers"] = Field(
        default="first",
        description="What to take of a file with several audio tracks: first (the best one), mix, episodes (one for each) or "
        "speakers (a mix in which each track is a speaker). Overridden by the metadata column tracks "
        "(docs/guides/archives.md).",
    )
    opus_copy: int | None = Field(
        default=None,
        ge=6_000,
        le=256_000,
        description="Bit rate, in bit/s, of an Opus copy of the working audio, such as 24000. Unset: no copy.",
    )
    near_duplicates: bool = Field(
        default=False,
        description="Look for episodes that sound the same though their bytes differ (docs/guides/near-duplicates.md).",
    )


class DownloadSettings(SettingsGroup):
    """Concurrency, limits and retries of downloads."""

    heading: ClassVar = "Downloads"

    downloads: int = Field(default=8, ge=1, description="Downloads of a list of URLs that run at once.")
    downloads_per_host: int = Field(default=2, ge=1, description="Connections to one host at once.")
    download_host_delay: float = Field(
        default=0.5, ge=0, description="Seconds between the starts of two connections to one host."
    )
    download_bytes: int = Field(
        default=4_000_000_000, ge=1, description="Largest download, in bytes; a larger one fails permanently."
    )
    download_seconds: float = Field(
        default=3600.0, gt=0, description="Seconds that a download may take in one run; the next run continues it."
    )
    download_tries: int = Field(
        default=5, ge=1, description="Consecutive attempts of a download that bring no data before it fails."
    )
    download_backoff: float = Field(
        default=1.0,
        ge=0,
        description="Longest wait before the second attempt, in seconds; it doubles with each further attempt.",
    )
    allow_hosts: str = Field(
        default="",
        description="Hosts, such as media.example,localhost, that lists and feeds may use even if their addresses are "
        "private, and buckets (s3://shows) and SFTP hosts that they may read with "
        "this machine's credentials.",
    )
    user_agent: str = Field(
        default="podcast-assets",
        pattern=r"^[ -~]+$",
        description="User agent of downloads; include a way to reach you.",
    )
    refresh_downloads: bool = Field(
        default=False, description="For one run: check whether downloaded files have changed on the server."
    )

    @property
    def allowed_hosts(self) -> list[str]:
        """Hosts that may be fetched from even if their addresses are private."""
        return [host.strip().lower() for host in self.allow_hosts.split(",") if host.strip()]


class FeedSettings(SettingsGroup):
    """How often feeds are polled, and which episodes are taken."""

    heading: ClassVar = "Feeds"

    feed_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=6.0,
        gt=0,
        description="Hours between two polls of a feed whose list sets no other interval.",
    )
    feed_wait_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=1.0,
        ge=0,
        description="Longest time, in hours, that new episodes wait for others to fill their batch.",
    )
    feed_newest: int | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        ge=1,
        description="Take only this many of the newest episodes of each feed. Unset: all.",
    )
