"""What all groups of settings share: the model's configuration, and marks for the scope of a setting."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue

DEPLOYMENT: dict[str, JsonValue] = {"scope": "deployment"}
"""Marks settings of a whole deployment, which a single run cannot override."""
RELEASE: dict[str, JsonValue] = {"scope": "release"}
"""Marks settings of releases. Settings without a mark are those of runs that process batches."""


class SettingsGroup(BaseModel):
    """Base class of the groups of settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_default=True,
        hide_input_in_errors=True,  # one of them is a secret
        defer_build=True,  # only `Settings` is instantiated, so only its validator is built
    )

    heading: ClassVar[str]
    """Heading of the section in the documentation."""
