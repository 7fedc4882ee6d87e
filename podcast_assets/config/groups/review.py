"""Settings of the review page."""

import ipaddress
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup

MIN_KEY_LENGTH = 32


def split_proxies(value: str | None) -> list[str]:
    """Split a list of addresses and networks at its commas."""
    return [proxy.strip() for proxy in (value or "").split(",") if proxy.strip()]


class ReviewSettings(SettingsGroup):
    """The review page, where people listen, judge and correct."""

    heading: ClassVar = "Review"

    review_second_look: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=0.1,
        ge=0,
        le=1,
        description="Share of reviewed items that a second reviewer looks at without seeing what the first one said. Items where a "
        "reviewer contradicts the moderation policy's model get a second look in any case.",
    )
    review_random: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=0.01,
        ge=0,
        le=1,
        description="Share of all segments in the queue of random ones.",
    )
    review_lease_minutes: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=15,
        gt=0,
        le=24 * 60,
        description="How many minutes a reviewer has an item to himself. The page renews it while he is at work.",
    )
    review_session_hours: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=12,
        gt=0,
        le=24 * 30,
        description="How many hours a login to the review page lasts.",
    )
    review_key: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description=f"Key of at least {MIN_KEY_LENGTH} characters that the secrets of callbacks are derived from. Unset: made on "
        "first use, in DAGSTER_HOME/review.key. Set it where several machines serve the HTTP interface. Never shown or logged.",
    )

    review_proxies: str | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Addresses or networks of proxies before the review page, separated by commas, such as 10.0.0.0/8: their "
        "headers X-Forwarded-For and X-Forwarded-Proto are believed, and nobody else's.",
    )
    review_user_header: str | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        pattern="^[A-Za-z0-9-]+$",
        description="Header in which a proxy of PODCAST_REVIEW_PROXIES names the user that it logged in, such as X-Forwarded-User. "
        "The user must exist. The proxy must remove the header from what clients send.",
    )

    @field_validator("review_proxies")
    @classmethod
    def _check_proxies(cls, value: str | None) -> str | None:
        for proxy in split_proxies(value):
            ipaddress.ip_network(proxy)  # its error says what is wrong
        return value

    @field_validator("review_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_KEY_LENGTH:
            raise ValueError(f"must have at least {MIN_KEY_LENGTH} characters; `openssl rand -hex 32` makes one")
        return value
