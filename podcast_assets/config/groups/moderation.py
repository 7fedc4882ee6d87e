"""Settings of moderation."""

from typing import ClassVar

from pydantic import Field, field_validator

from podcast_assets.config.content_rules import parse_content_rules
from podcast_assets.config.groups.group import RELEASE, SettingsGroup


class ModerationSettings(SettingsGroup):
    """What is said, judged by moderation policies, and what releases exclude because of it."""

    heading: ClassVar = "Moderation"

    moderation: str = Field(
        default="",
        description="Moderation policies that judge the transcripts, such as profanity,harmful; none by default "
        "(docs/guides/moderation.md).",
    )
    moderation_policies: str | None = Field(
        default=None,
        description="Folder of your own moderation policies, one Markdown file each. They take precedence over those of the "
        "package.",
    )
    exclude: str = Field(
        json_schema_extra=RELEASE,
        default="",
        description="Rules about content flags, separated by commas: segments that a release leaves out, such as "
        "`hate_speech > 0.5, profanity.profanity >= 0.99, needs_review` (docs/guides/moderation.md).",
    )

    @field_validator("exclude")
    @classmethod
    def _check_rules(cls, value: str) -> str:
        parse_content_rules(value)
        return value
