"""Descriptions of the settings, derived from the model `Settings`.

`podcast-assets settings` and the reference page of the documentation print the same descriptions.
"""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import HttpUrl, SecretStr
from pydantic.fields import FieldInfo

from podcast_assets.config.environment import environment_name
from podcast_assets.config.groups.group import SettingsGroup
from podcast_assets.config.settings import Settings

_GROUPS = [base for base in Settings.__bases__ if issubclass(base, SettingsGroup)]
SECTIONS = {name: group.heading for group in reversed(_GROUPS) for name in group.model_fields}
"""Field → heading of its section."""


@dataclass(frozen=True)
class SettingDescription:
    """Description of one setting."""

    field: str
    variable: str
    """Environment variable."""
    values: str
    """Type and bounds, such as `integer, at least 1`."""
    default: str | None
    """As it would be written in the environment; None if the setting is unset by default."""
    description: str
    section: str


def describe_settings() -> list[SettingDescription]:
    """Describe all settings, in the order of the fields of `Settings`."""
    return [
        SettingDescription(
            field=name,
            variable=environment_name(name),
            values=", ".join(_describe_values(field)),
            default=_describe_default(field),
            description=field.description or "",
            section=SECTIONS[name],
        )
        for name, field in Settings.model_fields.items()
    ]


_TYPES = {
    bool: "true or false",
    int: "integer",
    float: "number",
    dict: "JSON object",
    Path: "path",
    HttpUrl: "URL",
    SecretStr: "secret",
}
_BOUNDS = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}


def _describe_values(field: FieldInfo) -> Iterator[str]:
    kind = _without_none(field.annotation)
    if typing.get_origin(kind) is Literal:
        *choices, last = typing.get_args(kind)
        yield f"{', '.join(choices)} or {last}"
    else:
        yield _TYPES.get(typing.get_origin(kind) or kind, "text")
    for bound in field.metadata:
        for name, words in _BOUNDS.items():
            if (limit := getattr(bound, name, None)) is not None:
                yield words.format(f"{limit:,}")


def _without_none(annotation: Any) -> Any:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        (annotation,) = (a for a in typing.get_args(annotation) if a is not type(None))
    return annotation


def _describe_default(field: FieldInfo) -> str | None:
    value = field.get_default(call_default_factory=True)
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
