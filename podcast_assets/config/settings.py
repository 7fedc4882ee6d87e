"""All settings of the project. Each setting is an environment variable with a default that works.

The fields are in `groups`; `podcast-assets settings` prints them with their values.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from podcast_assets.config.environment import read_environment
from podcast_assets.config.groups.catalog import CatalogSettings
from podcast_assets.config.groups.compute import ComputeSettings
from podcast_assets.config.groups.http_interface import HttpInterfaceSettings
from podcast_assets.config.groups.intake import DownloadSettings, FeedSettings, IntakeSettings
from podcast_assets.config.groups.moderation import ModerationSettings
from podcast_assets.config.groups.moderation_endpoint import ModerationEndpointSettings
from podcast_assets.config.groups.operation import DagsterSettings, RetentionSettings
from podcast_assets.config.groups.quality import QualitySettings
from podcast_assets.config.groups.release import ReleaseSettings
from podcast_assets.config.groups.review import ReviewSettings
from podcast_assets.config.groups.search import SearchSettings
from podcast_assets.config.groups.shards import ShardSettings
from podcast_assets.config.groups.speech import EngineSettings, LanguageSettings
from podcast_assets.config.groups.store import StoreSettings


class Settings(  # pydantic collects fields from the last base class to the first
    DagsterSettings,
    SearchSettings,
    FeedSettings,
    DownloadSettings,
    ComputeSettings,
    RetentionSettings,
    IntakeSettings,
    HttpInterfaceSettings,
    ReviewSettings,
    CatalogSettings,
    ReleaseSettings,
    ShardSettings,
    ModerationEndpointSettings,
    ModerationSettings,
    QualitySettings,
    EngineSettings,
    LanguageSettings,
    StoreSettings,
):
    """Settings of the project. Arguments override environment variables, which override defaults."""

    def __init__(self, **given: Any) -> None:
        # not pydantic-settings, whose import would be a fifth of the time of `podcast-assets settings`
        values: dict[str, Any] = read_environment(type(self).model_fields) | given
        super().__init__(**values)


class _ExplicitSettings(Settings):
    def __init__(self, **given: Any) -> None:
        BaseModel.__init__(self, **given)


def make_settings(values: Mapping[str, Any]) -> Settings:
    """Make settings from values by field and defaults, without reading the environment.

    Raises:
        ValidationError: a value is invalid.
    """
    return _ExplicitSettings(**values)


def fields_in_scope(scope: Literal["run", "release", "deployment"]) -> dict[str, FieldInfo]:
    """Return the settings of runs that process batches, of releases, or of a whole deployment."""
    extras = {name: field.json_schema_extra for name, field in Settings.model_fields.items()}
    scopes = {name: extra["scope"] if isinstance(extra, dict) else "run" for name, extra in extras.items()}
    return {name: field for name, field in Settings.model_fields.items() if scopes[name] == scope}
