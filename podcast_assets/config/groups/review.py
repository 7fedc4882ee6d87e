"""Settings of the review page."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup

MIN_KEY_LENGTH = 32


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

    @field_validator("review_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_KEY_LENGTH:
            raise ValueError(f"must have at least {MIN_KEY_LENGTH} characters; `openssl rand -hex 32` makes one")
        return value
