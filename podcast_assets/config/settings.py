"""All settings of the project. Each setting is an environment variable with a default that works.

`podcast-assets settings` prints them with their values.
"""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from croniter import croniter
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    JsonValue,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from podcast_assets.config.routes import parse_routes

ProfileName = Literal["auto", "demo", "embedded", "cpu", "gpu"]

SECRET_LENGTH = 16
"""Characters that a secret must have at least: 64 bits where they are hexadecimal digits."""
SECRETS = ("webhook_secret",)
"""Settings whose values nobody is shown."""


DEPLOYMENT: dict[str, JsonValue] = {"scope": "deployment"}
"""Marks settings of a whole deployment: no run can have others."""
RELEASE: dict[str, JsonValue] = {"scope": "release"}
"""Marks settings of releases alone. Unmarked ones are of the runs that process batches."""


class Settings(BaseModel):
    """Settings of the project, from arguments, `PODCAST_…` variables or defaults, in this order."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,  # one of them is a secret
    )

    store: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="store",
        description="Where everything is kept: a folder, or s3://BUCKET/PREFIX (docs/operations/store.md).",
    )
    profile: ProfileName = Field(
        default="auto",
        description="Set of engines. auto takes gpu or cpu where their models are available, otherwise embedded "
        "(docs/guides/engines.md).",
    )
    whisper_model: str | None = Field(
        default=None,
        description="Whisper model of the profiles cpu and gpu: a local folder or a hub id. Unset: small on CPUs, "
        "large-v3-turbo on GPUs.",
    )
    language: str | None = Field(
        default=None,
        description="ISO 639-1 code for episodes whose metadata name no language. Unset: the language is identified.",
    )
    mixed_languages: bool = Field(
        default=False,
        description="Identify the language of each segment where none is given, instead of once per episode.",
    )
    diarizer: str = Field(
        default="auto",
        description="Diarizer of the profiles cpu and gpu: pyannote, sortformer or embedded. auto takes pyannote where it is "
        "installed and its model is available.",
    )
    min_speakers: int | None = Field(
        default=None,
        ge=1,
        description="Fewest speakers of an episode; overridden by the episode's metadata. Unset: the diarizer's default, 2 for"
        " pyannote and 1 for embedded.",
    )
    max_speakers: int | None = Field(
        default=None,
        ge=1,
        description="Most speakers of an episode; overridden by the episode's metadata. Unset: the diarizer's default, 6.",
    )
    segmentation: Literal["asr", "emilia", "none"] = Field(
        default="asr",
        description="How speaker turns become segments. asr joins gaps up to 0.5 s and cuts after 30 s at a quiet place; "
        "emilia gives 3 to 30 s and joins gaps up to 2 s; none keeps the turns.",
    )
    routes: str | None = Field(
        default=None,
        description="Which engines transcribe which language, as zh=firered>faster-whisper,*=faster-whisper>pocketsphinx; "
        "after > comes the engine that takes over where one fails. Unset: by profile (docs/guides/engines.md).",
    )
    second_transcriber: str | None = Field(
        default=None,
        description="Engine, or routes as in PODCAST_ROUTES, that transcribes everything a second time for comparison. Unset: "
        "none (docs/guides/text-quality.md).",
    )
    text_language_model: str | None = Field(
        default=None,
        description="fastText model that identifies the language of a text, such as lid.176.ftz (podcast-assets[fasttext]). "
        "Unset: py3langid (docs/guides/text-quality.md).",
    )
    text_language_certain: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability from which the identified language of a text is trusted. Unset: 0.9, or 0.7 with a fastText "
        "model.",
    )
    aligner: str | None = Field(
        default=None,
        description="Adds times to words of engines that give none: ctc, or pocketsphinx-align (English, nothing to download)."
        " Unset: such words have no times.",
    )
    separator: str | None = Field(
        default=None, description="Removes music before diarization and transcription: uvr-mdx. Unset: off."
    )
    hints: str = Field(
        default="",
        description="Columns of the metadata, such as title,podcast, whose text the recognizer gets as hotwords.",
    )
    engines: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description='Settings of engines by name, as JSON: {"faster-whisper": {"beam_size": 1}}. `podcast-assets doctor '
        "--settings` lists them.",
    )
    models: Path | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Folder that models are fetched to. Unset: podcast-assets/models in the user's cache folder.",
    )
    policy: str = Field(
        default="asr",
        description="Policy that decides which segments are kept: all, asr, emilia, tts, or the path of a TOML file "
        "(docs/guides/policies.md).",
    )
    dnsmos_hop: float = Field(
        default=1.0,
        gt=0,
        description="Seconds between DNSMOS windows. 1 is the reference; 9 is several times faster and slightly less accurate.",
    )
    scorers: str = Field(
        default="",
        description="Scorers to run beside dnsmos, such as utmos,squim; each is an engine of quality/scorers "
        "(docs/guides/signal-scores.md).",
    )
    text_care: str = Field(
        default="",
        description="Optional text columns: pii,numbers,punctuation for personal data, numbers as digits, punctuation and "
        "capitals (docs/guides/text-quality.md).",
    )
    punctuator: str = Field(
        default="pcs",
        description="Engine that restores punctuation where PODCAST_TEXT_CARE asks for it; an engine of quality/punctuators.",
    )
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
    publish: Literal["all", "kept"] = Field(
        json_schema_extra=RELEASE,
        default="all",
        description="Which segments are released: all, or only those that the policy keeps.",
    )
    hub_repo: str | None = Field(
        json_schema_extra=RELEASE,
        default=None,
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="Dataset repository on the Hugging Face Hub, owner/name. HF_TOKEN (or hf auth login) authenticates, "
        "HF_ENDPOINT selects the server. Unset: releases go to PODCAST_RELEASE_FOLDER (docs/guides/release.md).",
    )
    hub_private: bool = Field(
        json_schema_extra=RELEASE, default=True, description="Whether a repository created by a release is private."
    )
    hub_gated: bool = Field(
        json_schema_extra=RELEASE,
        default=False,
        description="Whether readers must request access to a repository created by a release.",
    )
    release_folder: str | None = Field(
        json_schema_extra=RELEASE,
        default=None,
        description="Folder or s3://BUCKET/PREFIX for releases when no repository is set. Unset: dataset/ in the store.",
    )
    release_bytes: int | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        ge=1,
        description="The sensor enough_sealed releases once this many bytes are sealed and not yet released. Unset: never.",
    )
    release_cron: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="0 4 * * *",
        description="When the schedule nightly_release runs, once it is switched on: a cron expression in UTC.",
    )
    licenses: str = Field(
        json_schema_extra=RELEASE,
        default="public-domain,cc-by,cc-by-sa",
        min_length=1,
        description="Licences under which episodes are released, separated by commas: SPDX ids (cc-by-4.0), ids without a "
        "version (cc-by-nc), public-domain, the exact words of an agreement, or * for any "
        "(docs/guides/takedown.md).",
    )
    purge_history: bool = Field(
        json_schema_extra=RELEASE,
        default=True,
        description="After a takedown, also delete what was published from all commits of the Hub repository, permanently.",
    )
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
    meta_key: str = Field(
        default="meta_id",
        min_length=1,
        description="Column of the metadata that names the file of a row, without its suffix.",
    )
    archive_files: int = Field(
        default=100_000,
        ge=1,
        description="Most entries of an archive that are read; an archive with more is refused from there on.",
    )
    archive_ratio: float = Field(
        default=200.0,
        gt=1,
        description="How many times its own size an archive may unpack to, beyond the first 256 MB.",
    )
    max_hours: float = Field(
        default=48.0, gt=0, description="Longest recording, in hours of audio; a longer one fails."
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
    keep_sources_days: float | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        gt=0,
        description="Days after which the janitor removes the source of a batch under incoming/, counted from when all its "
        "tables were committed. Unset: sources are kept.",
    )
    retry_permanent: bool = Field(
        default=False, description="For one run: also retry episodes that failed because of their data."
    )
    retry_fallbacks: bool = Field(
        default=False, description="For one run: process again what a fallback made because the first engine failed."
    )
    prefetch: int = Field(default=2, ge=1, description="Episodes decoded ahead of the model.")
    compute: Literal["local", "ray"] = Field(
        default="local",
        description="Where stages compute: in the run's own process, or on Ray workers (docs/guides/gpus.md).",
    )
    ray_address: str | None = Field(
        default=None,
        description="Ray cluster: host:port from one of its machines, ray://host:10001 from elsewhere. Unset: Ray on this "
        "machine.",
    )
    min_workers: int = Field(default=1, ge=1, description="Fewest Ray workers of a stage.")
    max_workers: int | None = Field(
        default=None,
        ge=1,
        description="Most Ray workers of a stage. Unset: as many as the cluster has room for.",
    )
    workers_per_gpu: int = Field(default=1, ge=1, description="Ray workers that share one GPU.")
    worker_cpus: float = Field(default=1.0, gt=0, description="CPU cores of a Ray worker.")
    gpus: str | None = Field(
        default=None,
        description="GPUs of this machine that may be used, such as 0,2. Unset: all that CUDA_VISIBLE_DEVICES shows.",
    )
    timeout: float = Field(
        default=7200.0,
        gt=0,
        description="Seconds that a Ray worker may take for one episode; then the worker is ended and the episode fails.",
    )
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
        description="Hosts, such as media.example,localhost, that lists and feeds may name although their addresses are "
        "private.",
    )
    user_agent: str = Field(
        default="podcast-assets",
        pattern=r"^[ -~]+$",
        description="User agent of downloads; include a way to reach you.",
    )
    refresh_downloads: bool = Field(
        default=False, description="For one run: ask whether downloaded files have changed."
    )
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
    dagster_home: Path = Field(
        json_schema_extra=DEPLOYMENT,
        default=Path("dagster_home"),
        description="Dagster's instance folder.",
    )
    max_runtime_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=24.0,
        gt=0,
        description="Hours after which a run is terminated. Keep it far above what a batch needs, so that it only ends runs "
        "that hang.",
    )
    retry_cron: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="0 2 * * *",
        description="When the nightly retry runs: a cron expression in UTC.",
    )
    retry_attempts: int = Field(
        json_schema_extra=DEPLOYMENT,
        default=5,
        ge=1,
        description="Attempts after which the nightly retry leaves an episode alone.",
    )
    janitor_cron: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="30 * * * *",
        description="When the janitor removes what crashes left behind: a cron expression in UTC.",
    )
    scratch_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=48.0,
        gt=0,
        description="Age in hours before unfinished files and stale checkpoints are removed; at least "
        "PODCAST_MAX_RUNTIME_HOURS, because a run may still write to them.",
    )
    webhook_url: HttpUrl | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="URL that is called at the end of every run. Unset: none. Its path and query are not logged.",
    )
    webhook_secret: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Signs webhook requests (Standard Webhooks, HMAC-SHA256): whsec_ and base64, or any text of at least 16 "
        "characters. Never shown or logged.",
    )
    log_format: Literal["text", "json"] = Field(
        json_schema_extra=DEPLOYMENT,
        default="text",
        description="Format of log lines: text, or one JSON object per line.",
    )

    def __init__(self, **given: Any) -> None:
        # pydantic-settings does the same and much more; its import would be a fifth of what `podcast-assets settings` takes
        super().__init__(**(_read_environment() | given))

    @property
    def allowed_hosts(self) -> list[str]:
        """Hosts that may be fetched from wherever they are."""
        return [host.strip().lower() for host in self.allow_hosts.split(",") if host.strip()]

    @property
    def whole_episodes(self) -> bool:
        """Whether whole episodes are sealed beside the segments."""
        return "episodes" in self.grains.split(",")

    @field_validator("engines", mode="before")
    @classmethod
    def _engines_are_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"must be JSON ({error})") from None

    @field_validator("language")
    @classmethod
    def _language_is_a_code(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[a-z]{2}", value):
            raise ValueError("must be an ISO 639-1 code: two small letters, such as en or de")
        return value

    @field_validator("routes")
    @classmethod
    def _routes_can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            parse_routes(value)
        return value

    @field_validator("second_transcriber")
    @classmethod
    def _second_routes_can_be_read(cls, value: str | None) -> str | None:
        if value is not None and "=" in value:
            parse_routes(value)
        return value

    @field_validator("retry_cron", "janitor_cron", "release_cron")
    @classmethod
    def _cron_can_be_read(cls, value: str) -> str:
        if not is_cron(value):
            raise ValueError('must be a cron line of five fields, such as "0 2 * * *"')
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _secret_can_sign(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        secret = value.get_secret_value()
        if len(secret) < SECRET_LENGTH:
            raise ValueError(f"must have at least {SECRET_LENGTH} characters; `openssl rand -hex 32` makes one")
        if secret.startswith("whsec_"):
            key = secret.removeprefix("whsec_")
            try:
                base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
            except ValueError:  # not chained: nothing of the secret is shown
                raise ValueError("begins with whsec_, and what follows is not base64") from None
        return value

    @model_validator(mode="after")
    def _webhook_is_signed(self) -> Self:
        if self.webhook_url and not self.webhook_secret:
            url, secret = environment_name("webhook_url"), environment_name("webhook_secret")
            raise ValueError(f"{url} is set without {secret}; webhook requests must be signed")
        return self

    @model_validator(mode="after")
    def _speakers_are_a_range(self) -> Self:
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            fewest, most = environment_name("min_speakers"), environment_name("max_speakers")
            raise ValueError(f"{fewest}={self.min_speakers} must not be greater than {most}={self.max_speakers}")
        return self


def is_cron(line: str) -> bool:
    """Whether a text is a valid cron schedule for Dagster: five fields that some minute fits, or an alias as @daily."""
    if not croniter.is_valid(line):
        return False
    fields, *_ = croniter.expand(line)
    days, months = fields[2:4]
    return len(fields) == 5 and not (months == [2] and days in ([30], [31]))


class _ExplicitSettings(Settings):
    def __init__(self, **given: Any) -> None:
        BaseModel.__init__(self, **given)


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Make settings from values by field and defaults, without reading the environment.

    Raises:
        ValidationError: a value is wrong.
    """
    return _ExplicitSettings(**values)


def fields_of(scope: Literal["run", "release", "deployment"]) -> dict[str, FieldInfo]:
    """The settings of a scope: of runs that process batches, of releases, or of a whole deployment."""
    extras = {name: field.json_schema_extra for name, field in Settings.model_fields.items()}
    marks = {name: extra["scope"] if isinstance(extra, dict) else "run" for name, extra in extras.items()}
    return {name: field for name, field in Settings.model_fields.items() if marks[name] == scope}


def environment_name(field: str) -> str:
    """The environment variable that sets a field."""
    return "DAGSTER_HOME" if field == "dagster_home" else f"PODCAST_{field.upper()}"


def _read_environment() -> dict[str, str]:
    """Field → value of its environment variable, whose case does not matter; an empty one is an unset one."""
    there = {name.upper(): value for name, value in os.environ.items() if value}
    return {field: there[name] for field in Settings.model_fields if (name := environment_name(field)) in there}


def explain_error(error: ValidationError) -> list[str]:
    """Describe each invalid setting in one line: its environment variable, its value and what is expected."""
    lines = []
    for detail in error.errors():
        # a validator of this module has its own words, before which pydantic puts "Value error, "
        expected = str(detail.get("ctx", {}).get("error", detail["msg"]))
        if not detail["loc"]:  # of several settings, which the words name
            lines.append(expected)
            continue
        name = str(detail["loc"][0])
        variable = environment_name(name) if name in Settings.model_fields else name
        given = "…" if name in SECRETS else repr(detail["input"])
        words = expected if expected[:2].isupper() else f"{expected[:1].lower()}{expected[1:]}"
        lines.append(f"{variable}={given}: {words}")
    return lines
