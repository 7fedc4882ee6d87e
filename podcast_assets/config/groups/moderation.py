"""Settings of moderation."""

from typing import ClassVar

from pydantic import Field

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
