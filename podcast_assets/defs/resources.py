"""Resources of the assets: the store, and the settings of runs and releases."""

from collections.abc import Mapping
from typing import Any, Literal, Self, cast, get_origin

import dagster as dg
from pydantic import Field
from pydantic.fields import FieldInfo

from podcast_assets.config.settings import Settings, fields_in_scope, make_settings
from podcast_assets.stages.profiles import Profile, choose_profile
from podcast_assets.store.backends.access import Access
from podcast_assets.store.store import Store


class StoreResource(dg.ConfigurableResource):
    """The store, which holds everything that arrives and everything that assets produce."""

    root: str = Field(description="A folder, or s3://BUCKET/PREFIX.")
    follow_links: bool = Field(default=False, description="Whether links in incoming/ and feeds/ are followed.")
    access: str = Field(default="private", description="Who may read new files: private, group or umask.")

    def get(self) -> Store:
        """Open the store."""
        return Store.at(self.root, follow_links=self.follow_links, access=cast("Access", self.access))


class _SettingsResource(dg.ConfigurableResource):
    """Base class of resources whose fields are settings that a single run can override."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the resource from settings."""
        return cls(**settings.model_dump(include=set(cls.model_fields)))

    def settings(self) -> Settings:
        """The settings of this run."""
        return make_settings({name: getattr(self, name) for name in type(self).model_fields})


def _with_fields(fields: Mapping[str, FieldInfo]) -> type[_SettingsResource]:
    """Make a base class with fields of `Settings`, in types that Dagster's configuration supports."""
    annotations = {name: _config_type(field.annotation) for name, field in fields.items()}
    described = {name: Field(description=field.description) for name, field in fields.items()}
    namespace = {"__module__": __name__, "__annotations__": annotations, **described}
    return type(_SettingsResource)("_SettingsFields", (_SettingsResource,), namespace)


def _config_type(annotation: Any) -> Any:
    """Convert the type of a setting to one that Dagster's configuration supports."""
    if get_origin(annotation) is Literal:
        return str
    return dict[str, Any] if get_origin(annotation) is dict else annotation


class PipelineResource(_with_fields(fields_in_scope("run"))):
    """Settings of the stages, which can be overridden for a single run; `podcast-assets settings` describes them."""

    def selected_profile(self) -> Profile:
        """Return the profile that this run selects, with its engines. (`profile` is the setting that names it.)"""
        return choose_profile(self.settings())


_SHARDS = ("shard_bytes", "shard_codec")
"""Settings of runs that releases need too, because they merge small shards."""


class ReleaseResource(
    _with_fields(fields_in_scope("release") | {name: fields_in_scope("run")[name] for name in _SHARDS})
):
    """Settings of releases, which can be overridden for a single run."""
