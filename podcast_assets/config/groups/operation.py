"""Settings of retention, retries, Dagster, notifications and logs."""

import base64
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, field_validator, model_validator

from podcast_assets.config.cron import check_cron
from podcast_assets.config.environment import environment_name
from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup

MIN_SECRET_LENGTH = 16
"""Fewest characters of a secret: 64 bits if they are hexadecimal digits."""
WEBHOOK_EVENTS = ("started", "success", "failure", "canceled")
"""Statuses of runs that the webhook may be notified of."""


class RetentionSettings(SettingsGroup):
    """How long sources are kept, and what a run retries."""

    heading: ClassVar = "Retention and retries"

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
    redo_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=10.0,
        ge=0,
        description="Hours of finished audio that may be processed again unasked, because the version or the engines are not those "
        "that made it. Above it, commands ask, and the sensor and the nightly retry hold back such batches. inf: never ask.",
    )


class DagsterSettings(SettingsGroup):
    """Dagster, notifications and logs."""

    heading: ClassVar = "Dagster, notifications and logs"

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
    statistics_cron: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="10 * * * *",
        description="When the asset `statistics` is materialized: a cron expression in UTC.",
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
        description="URL that is called when a run starts and when it ends. Unset: none. Only its host is shown.",
    )
    webhook_events: str = Field(
        json_schema_extra=DEPLOYMENT,
        default=",".join(WEBHOOK_EVENTS),
        description="Of which events the webhook is notified: some of started, success, failure, canceled.",
    )
    webhook_secret: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Signs webhook requests (Standard Webhooks, HMAC-SHA256): whsec_ and base64, or any text of at least 16 "
        "characters. Never shown or logged.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        json_schema_extra=DEPLOYMENT,
        default="info",
        description="Least severe log records that are shown and stored with runs. `debug` adds times, tracebacks of failed "
        "episodes and Dagster's events; `podcast-assets -v` sets it for one command.",
    )
    log_format: Literal["text", "json"] = Field(
        json_schema_extra=DEPLOYMENT,
        default="text",
        description="Format of log lines: text, or one JSON object per line.",
    )

    @field_validator("dagster_home")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        try:
            return value.expanduser()  # nothing else expands a ~ that comes from a file of variables
        except RuntimeError as error:
            raise ValueError(str(error)) from error

    _check_crons = field_validator("retry_cron", "janitor_cron", "statistics_cron")(check_cron)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_level(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value  # other programs write DEBUG

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        secret = value.get_secret_value()
        if len(secret) < MIN_SECRET_LENGTH:
            raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters; `openssl rand -hex 32` makes one")
        if secret.startswith("whsec_"):
            key = secret.removeprefix("whsec_")
            try:
                base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
            except ValueError:  # not chained, because it would show part of the secret
                raise ValueError("begins with whsec_, and what follows is not base64") from None
        return value

    @field_validator("webhook_events")
    @classmethod
    def _check_events(cls, value: str) -> str:
        given = [name for part in value.split(",") if (name := part.strip().lower())]
        if not given or not set(given) <= set(WEBHOOK_EVENTS):
            raise ValueError(f"must be some of {', '.join(WEBHOOK_EVENTS)}, separated by commas")
        return ",".join(given)

    @property
    def webhook_statuses(self) -> frozenset[str]:
        """Statuses of runs that the webhook is notified of."""
        return frozenset(self.webhook_events.split(","))

    @model_validator(mode="after")
    def _check_webhook(self) -> Self:
        if self.webhook_url and not self.webhook_secret:
            url, secret = environment_name("webhook_url"), environment_name("webhook_secret")
            raise ValueError(f"{url} is set without {secret}; webhook requests must be signed")
        return self
