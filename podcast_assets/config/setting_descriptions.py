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

from podcast_assets.config.settings import Settings, environment_name

SECTIONS = {
    "store": "Store and profile",
    "language": "Languages and speakers",
    "routes": "Speech engines",
    "policy": "Quality",
    "shard_codec": "Shards",
    "publish": "Releases",
    "settle_seconds": "Arrival and intake",
    "keep_sources_days": "Retention and retries",
    "prefetch": "Compute",
    "downloads": "Downloads",
    "feed_hours": "Feeds",
    "dagster_home": "Dagster, notifications and logs",
}
"""First field of each section → its heading; a section ends where the next one begins."""


@dataclass(frozen=True)
class SettingDescription:
    """Description of one setting."""

    field: str
    variable: str
    """Environment variable."""
    values: str
    """Type and bounds, as `integer, at least 1`."""
    default: str | None
    """As one would write it into the environment; None where the setting is unset by default."""
    description: str
    section: str


def describe_settings() -> list[SettingDescription]:
    """All settings, in the order in which `Settings` defines them."""
    found = []
    section = ""
    for name, field in Settings.model_fields.items():
        section = SECTIONS.get(name, section)
        found.append(
            SettingDescription(
                field=name,
                variable=environment_name(name),
                values=", ".join(_describe_values(field)),
                default=_describe_default(field),
                description=field.description or "",
                section=section,
            )
        )
    return found


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
