"""Everything that people set, in one place. Each setting is an environment variable with a default that works.

`podcast-assets settings` prints them with their values.
"""

import base64
import json
import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from podcast_assets.cron import is_cron_line
from podcast_assets.routes import parse_routes

ProfileName = Literal["auto", "demo", "embedded", "cpu", "gpu"]

SECRET_LENGTH = 16
"""Characters that a secret must have at least: 64 bits where they are hexadecimal digits."""
SECRETS = ("webhook_secret",)
"""Settings whose values nobody is shown."""


class Settings(BaseModel):
    """Settings of the project: those that are given, else read from `PODCAST_…` variables, else their defaults."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,  # one of them is a secret
    )

    store: str = Field(
        default="store", description="Where everything lies: a folder, or s3://BUCKET/PREFIX (docs/store.md)."
    )
    profile: ProfileName = Field(
        default="auto",
        description="Set of engines: demo, embedded, cpu, gpu; auto takes gpu or cpu where their models are at hand, "
        "else embedded.",
    )
    whisper_model: str | None = Field(
        default=None,
        description="Whisper model of the cpu and gpu profiles: a local folder or a hub id; default by profile.",
    )
    language: str | None = Field(
        default=None, description="ISO 639-1 code of episodes whose metadata name none; unset: it is identified."
    )
    mixed_languages: bool = Field(
        default=False, description="Identify the language of each segment where none is given, not once per episode."
    )
    diarizer: str = Field(
        default="auto",
        description="Diarizer of the cpu and gpu profiles: pyannote, sortformer or embedded; auto takes pyannote where it is "
        "installed and its model is at hand.",
    )
    min_speakers: int | None = Field(
        default=None,
        ge=1,
        description="Fewest speakers of an episode; unset, the diarizer's default: 2 for pyannote, 1 for embedded. An episode's "
        "metadata go before it.",
    )
    max_speakers: int | None = Field(
        default=None, ge=1, description="Most speakers of an episode; unset, the diarizer's default, 6."
    )
    segmentation: Literal["asr", "emilia", "none"] = Field(
        default="asr", description="How turns become segments: asr, emilia (3 to 30 s, gaps up to 2 s), or none."
    )
    routes: str | None = Field(
        default=None,
        description="Which engines transcribe which language, as zh=firered>faster-whisper,*=faster-whisper>pocketsphinx: "
        "after > comes what takes over where one fails.",
    )
    second_transcriber: str | None = Field(
        default=None,
        description="Transcribes everything once more, to be compared with the first: an engine, or routes as in PODCAST_ROUTES; "
        "unset: nothing does (docs/quality-text.md).",
    )
    text_language_model: str | None = Field(
        default=None,
        description="fastText model that says which language a text is in, as lid.176.ftz (podcast-assets[fasttext]); unset: "
        "py3langid does (docs/quality-text.md).",
    )
    text_language_certain: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability from which the language of a text is believed; unset: 0.9, of fastText 0.7.",
    )
    aligner: str | None = Field(
        default=None,
        description="Gives times to words of engines that have none: ctc, or pocketsphinx-align (English, nothing to "
        "download); unset: such words have none.",
    )
    separator: str | None = Field(
        default=None, description="Takes the music out before anything listens: uvr-mdx; unset: nothing is taken out."
    )
    hints: str = Field(
        default="",
        description="Columns of the metadata, as title,podcast, whose text the recognizer gets as hotwords.",
    )
    engines: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description='Settings of engines by name, JSON, as {"faster-whisper": {"beam_size": 1}}; doctor lists them.',
    )
    models: Path | None = Field(
        default=None, description="Folder that models are fetched to; unset: podcast-assets/models in the user's cache."
    )
    policy: str = Field(
        default="asr", description="Policy that decides `keep`: all, asr, emilia, tts, or the path of a TOML file."
    )
    dnsmos_hop: float = Field(
        default=1.0,
        gt=0,
        description="Seconds between the windows of DNSMOS; 1 is the reference, 9 is several times as fast and a little off.",
    )
    scorers: str = Field(
        default="",
        description="Scorers beside dnsmos, as utmos,squim; each is a file in quality/scorers (docs/quality-signal.md).",
    )
    text_care: str = Field(
        default="",
        description="Optional columns about texts, as pii,numbers,punctuation: what seems to be personal data, numbers in digits, "
        "punctuation and capitals (docs/quality-text.md).",
    )
    punctuator: str = Field(
        default="pcs",
        description="Engine that PODCAST_TEXT_CARE=punctuation takes; each is a file in quality/punctuators.",
    )
    shard_codec: Literal["flac", "opus", "mp3", "wav"] = Field(default="flac", description="Audio codec of the shards.")
    shard_rate: int = Field(
        default=24_000, ge=8_000, description="Highest sample rate in the shards, Hz; never upsampled."
    )
    shard_bytes: int = Field(
        default=1_000_000_000, ge=10_240, description="A shard is sealed once it reaches this size."
    )
    publish: Literal["all", "kept"] = Field(
        default="all", description="Which segments are released: all, or only those that the policy keeps."
    )
    hub_repo: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="Dataset repository on the Hugging Face Hub, owner/name; unset: releases go to PODCAST_RELEASE_FOLDER. "
        "HF_TOKEN (or hf auth login) says who publishes, HF_ENDPOINT where (docs/release.md).",
    )
    hub_private: bool = Field(default=True, description="Whether a repository that a release makes is private.")
    hub_gated: bool = Field(default=False, description="Whether readers must ask for access to the repository.")
    release_folder: str | None = Field(
        default=None,
        description="Folder or s3://BUCKET/PREFIX that releases go to where no repository is named; unset: dataset/ in the store.",
    )
    release_bytes: int | None = Field(
        default=None,
        ge=1,
        description="The sensor releases once so many bytes are sealed and not released; unset: it never does.",
    )
    release_cron: str = Field(
        default="0 4 * * *",
        description="When the schedule `nightly_release` releases, once it is switched on: a cron line, UTC.",
    )
    shard_channels: Literal["mono", "source"] = Field(
        default="mono", description="Channels in the shards: mono, or those of the source (more than two become one)."
    )
    loudness: Literal["none", "emilia"] = Field(
        default="none",
        description="Level of the audio in the shards: as it is, or as Emilia has it, one gain per episode (docs/shards.md).",
    )
    grains: Literal["segments", "segments,episodes"] = Field(
        default="segments", description="What is sealed: segments, or whole episodes beside them (docs/shards.md)."
    )
    licenses: str = Field(
        default="public-domain,cc-by,cc-by-sa",
        min_length=1,
        description="Licences under which episodes are released, with commas between: SPDX ids (cc-by-4.0), ids without a version "
        "(cc-by-nc), public-domain, words of an agreement as the metadata have them, or * for any (docs/takedown.md).",
    )
    purge_history: bool = Field(
        default=True,
        description="After a takedown, delete what was published of it from all commits of the Hub repository, for good.",
    )
    settle_seconds: float = Field(
        default=30.0,
        ge=0,
        description="Seconds for which the sensor must see a batch unchanged before it counts as arrived.",
    )
    require_ready: bool = Field(
        default=False,
        description="Folders count as arrived only once they hold a file called _READY, .ready or _SUCCESS.",
    )
    meta_key: str = Field(
        default="meta_id",
        min_length=1,
        description="Column of the metadata that names the file that a row is about, without its suffix.",
    )
    archive_files: int = Field(
        default=100_000,
        ge=1,
        description="Entries of an archive that are looked at, at most; what comes after is refused.",
    )
    archive_ratio: float = Field(
        default=200.0,
        gt=1,
        description="How many times its own size an archive may unpack to, beyond the first 256 MB.",
    )
    max_hours: float = Field(
        default=48.0, gt=0, description="Hours of audio that one recording may have; a longer one fails."
    )
    opus_copy: int | None = Field(
        default=None,
        ge=6_000,
        le=256_000,
        description="Bit rate, bit/s, of a copy of the working audio in Opus, as 24000; unset: no copy is made.",
    )
    near_duplicates: bool = Field(
        default=False,
        description="Look for episodes that sound the same though their bytes differ (Chromaprint; docs/intake.md).",
    )
    keep_sources_days: float | None = Field(
        default=None,
        gt=0,
        description="Days after which the janitor removes what lies under incoming/ of a batch all of whose tables are committed "
        "for so long; unset: it is kept for ever.",
    )
    retry_permanent: bool = Field(
        default=False, description="Try again even episodes that failed because of their data; for one run."
    )
    retry_fallbacks: bool = Field(
        default=False, description="Make anew what a fallback made because its engine failed; for one run."
    )
    prefetch: int = Field(default=2, ge=1, description="Episodes decoded ahead of the model.")
    compute: Literal["local", "ray"] = Field(
        default="local", description="Where stages compute: in the run's own process, or on workers of Ray."
    )
    ray_address: str | None = Field(
        default=None,
        description="Ray cluster: host:port from one of its machines, ray://host:10001 from elsewhere; unset: Ray on this machine.",
    )
    min_workers: int = Field(default=1, ge=1, description="Workers of a stage on Ray, at least.")
    max_workers: int | None = Field(
        default=None,
        ge=1,
        description="Workers of a stage on Ray, at most; unset: as many as the cluster has room for.",
    )
    workers_per_gpu: int = Field(default=1, ge=1, description="Workers on Ray that share a GPU.")
    worker_cpus: float = Field(default=1.0, gt=0, description="CPU cores of a worker on Ray.")
    gpus: str | None = Field(
        default=None,
        description="GPUs of this machine that may be used, as 0,2; unset: all (that CUDA_VISIBLE_DEVICES shows).",
    )
    timeout: float = Field(
        default=7200.0,
        gt=0,
        description="Seconds after which a worker on Ray that has not finished an episode is ended, and the episode fails.",
    )
    downloads: int = Field(default=8, ge=1, description="Downloads of a list of URLs that go on at once.")
    downloads_per_host: int = Field(default=2, ge=1, description="Connections to one host at once.")
    download_host_delay: float = Field(
        default=0.5, ge=0, description="Seconds between the starts of two connections to one host."
    )
    download_bytes: int = Field(
        default=4_000_000_000, ge=1, description="Size of a download, at most; a larger one fails for good."
    )
    download_seconds: float = Field(
        default=3600.0, gt=0, description="Seconds that a download may take in one run; the next run goes on with it."
    )
    download_tries: int = Field(default=5, ge=1, description="Tries of a download in a row that bring nothing.")
    download_backoff: float = Field(
        default=1.0, ge=0, description="Seconds before a second try, at most; the bound doubles with each further one."
    )
    allow_hosts: str = Field(
        default="",
        description="Hosts, as media.example,localhost, that lists and feeds may name though their addresses are private.",
    )
    user_agent: str = Field(
        default="podcast-assets",
        pattern=r"^[ -~]+$",
        description="How downloads name themselves; a way to reach you is a courtesy.",
    )
    refresh_downloads: bool = Field(
        default=False, description="Ask whether what was downloaded has changed; for one run."
    )
    feed_hours: float = Field(
        default=6.0, gt=0, description="Hours between two looks at a feed whose list says nothing else."
    )
    feed_wait_hours: float = Field(
        default=1.0, ge=0, description="Hours that new episodes wait at most for others to fill their batch."
    )
    feed_newest: int | None = Field(
        default=None, ge=1, description="Of each feed only so many of the newest episodes are taken; unset: all."
    )
    dagster_home: Path = Field(
        default=Path("dagster_home"),
        description="Dagster's instance folder.",
    )
    max_runtime_hours: float = Field(
        default=24.0,
        gt=0,
        description="Hours after which a run is ended: far more than its batches need, so that only what is stuck ends.",
    )
    retry_cron: str = Field(
        default="0 2 * * *",
        description="When failures that may pass are tried again: a cron line, UTC.",
    )
    retry_attempts: int = Field(
        default=5, ge=1, description="Attempts after which the nightly retry leaves an episode to people."
    )
    janitor_cron: str = Field(
        default="30 * * * *", description="When what crashes left behind is removed: a cron line, UTC."
    )
    scratch_hours: float = Field(
        default=48.0,
        gt=0,
        description="Hours for which unfinished files and stale checkpoints are left alone; never less than "
        "PODCAST_MAX_RUNTIME_HOURS, as a run may still write to them.",
    )
    webhook_url: HttpUrl | None = Field(
        default=None, description="Is told of every run that ends; unset: nobody is. Its path and query are not logged."
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signs what the webhook is told (Standard Webhooks, HMAC-SHA256): whsec_ and base64, or any text of at least "
        "16 characters. Never shown or logged.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="How log lines are written: text for people, or one JSON object per line."
    )

    def __init__(self, **given: Any) -> None:
        # pydantic-settings does the same and much more; its import would be a fifth of what `podcast-assets settings` takes
        super().__init__(**(_environment() | given))

    @property
    def allowed_hosts(self) -> list[str]:
        """Hosts that may be fetched from wherever they are."""
        return [host.strip().lower() for host in self.allow_hosts.split(",") if host.strip()]

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
        if not is_cron_line(value):
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
            raise ValueError(f"{url} is set, and {secret} is not: nothing is sent unsigned")
        return self

    @model_validator(mode="after")
    def _speakers_are_a_range(self) -> Self:
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            fewest, most = environment_name("min_speakers"), environment_name("max_speakers")
            raise ValueError(f"{fewest}={self.min_speakers} must not be greater than {most}={self.max_speakers}")
        return self


def environment_name(field: str) -> str:
    """The environment variable that sets a field."""
    return "DAGSTER_HOME" if field == "dagster_home" else f"PODCAST_{field.upper()}"


def _environment() -> dict[str, str]:
    """Field → value of its environment variable, whose case does not matter; an empty one is an unset one."""
    there = {name.upper(): value for name, value in os.environ.items() if value}
    return {field: there[name] for field in Settings.model_fields if (name := environment_name(field)) in there}


def explain(error: ValidationError) -> list[str]:
    """One line for people per wrong setting: its environment variable, its value and what is expected."""
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
