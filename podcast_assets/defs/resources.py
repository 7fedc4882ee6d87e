"""What the assets are given: the store, and the engines of the profile."""

from typing import Any

import dagster as dg
from pydantic import Field

from podcast_assets.config.settings import Settings, make_settings
from podcast_assets.stages.profiles import Profile, choose
from podcast_assets.store.store import Store


class StoreResource(dg.ConfigurableResource):
    """The store with everything that arrives and everything that is made."""

    root: str = Field(description="A folder, or s3://BUCKET/PREFIX.")

    def get(self) -> Store:
        """The store."""
        return Store.at(self.root)


class PipelineResource(dg.ConfigurableResource):
    """How the stages work: every field is a setting (`podcast-assets settings` explains them), and can be set for one run."""

    profile: str
    whisper_model: str | None
    language: str | None
    mixed_languages: bool
    diarizer: str
    min_speakers: int | None
    max_speakers: int | None
    segmentation: str
    routes: str | None
    second_transcriber: str | None
    text_language_model: str | None
    text_language_certain: float | None
    aligner: str | None
    separator: str | None
    hints: str
    engines: dict[str, Any]
    policy: str
    dnsmos_hop: float
    scorers: str
    text_care: str
    punctuator: str
    shard_codec: str
    shard_rate: int
    shard_bytes: int
    shard_channels: str
    loudness: str
    grains: str
    meta_key: str
    archive_files: int
    archive_ratio: float
    max_hours: float
    opus_copy: int | None
    near_duplicates: bool
    retry_permanent: bool
    retry_fallbacks: bool
    prefetch: int
    compute: str
    ray_address: str | None
    min_workers: int
    max_workers: int | None
    workers_per_gpu: int
    worker_cpus: float
    gpus: str | None
    timeout: float
    downloads: int
    downloads_per_host: int
    download_host_delay: float
    download_bytes: int
    download_seconds: float
    download_tries: int
    download_backoff: float
    allow_hosts: str
    user_agent: str
    refresh_downloads: bool

    @classmethod
    def of(cls, settings: Settings) -> "PipelineResource":
        """The resource with these settings."""
        return cls(**settings.model_dump(include=set(cls.model_fields)))

    def settings(self) -> Settings:
        """The settings of this run."""
        return make_settings({name: getattr(self, name) for name in type(self).model_fields})

    def chosen(self) -> Profile:
        """The engines of this run."""
        return choose(self.settings())


class ReleaseResource(dg.ConfigurableResource):
    """What is released, and where to: every field is a setting, and can be set for one run."""

    publish: str
    licenses: str
    shard_bytes: int
    shard_codec: str
    hub_repo: str | None
    hub_private: bool
    hub_gated: bool
    purge_history: bool
    release_folder: str | None

    @classmethod
    def of(cls, settings: Settings) -> "ReleaseResource":
        """The resource with these settings."""
        return cls(**settings.model_dump(include=set(cls.model_fields)))

    def settings(self) -> Settings:
        """The settings of this run."""
        return make_settings({name: getattr(self, name) for name in type(self).model_fields})
