"""What all groups of settings share: the model's configuration, and marks for the scope of a setting."""

import re
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue

DEPLOYMENT: dict[str, JsonValue] = {"scope": "deployment"}
"""Marks settings of a whole deployment, which a single run cannot override."""
RELEASE: dict[str, JsonValue] = {"scope": "release"}
"""Marks settings of releases. Settings without a mark are those of runs that process batches."""

_URL_WITH_SECRET = re.compile(r"[A-Za-z][\w+.\-]*://(?:[^/?#]*@|[^?#]*\?)")


def check_without_secrets(value: str | None) -> str | None:
    """Return a setting that is a folder, a URL or an address unchanged.

    Such settings are shown, and Dagster stores them with each run; nothing reads a login from them.

    Raises:
        ValueError: it is a URL with a login or a query.
    """
    if value is not None and _URL_WITH_SECRET.match(value):
        raise ValueError("must not contain a user, a password or a query (?…): give secrets by their own variables")
    return value


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
