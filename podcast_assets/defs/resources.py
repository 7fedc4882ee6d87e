"""What the assets are given: the store, and the engines of the profile."""

from collections.abc import Mapping
from typing import Any, Literal, Self, get_origin

import dagster as dg
from pydantic import Field
from pydantic.fields import FieldInfo

from podcast_assets.config.settings import Settings, fields_of, make_settings
from podcast_assets.stages.profiles import Profile, choose_profile
from podcast_assets.store.store import Store


class StoreResource(dg.ConfigurableResource):
    """The store with everything that arrives and everything that is made."""

    root: str = Field(description="A folder, or s3://BUCKET/PREFIX.")

    def get(self) -> Store:
        """The store."""
        return Store.at(self.root)


class _SettingsResource(dg.ConfigurableResource):
    """A resource whose fields are settings, which one run may have otherwise."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The resource with these settings."""
        return cls(**settings.model_dump(include=set(cls.model_fields)))

    def settings(self) -> Settings:
        """The settings of this run."""
        return make_settings({name: getattr(self, name) for name in type(self).model_fields})


def _with_fields(fields: Mapping[str, FieldInfo]) -> type[_SettingsResource]:
    """A resource with the fields of `Settings` that are named, in types that Dagster's configuration knows."""
    annotations = {name: _config_type(field.annotation) for name, field in fields.items()}
    described = {name: Field(description=field.description) for name, field in fields.items()}
    namespace = {"__module__": __name__, "__annotations__": annotations, **described}
    return type(_SettingsResource)("_SettingsFields", (_SettingsResource,), namespace)


def _config_type(annotation: Any) -> Any:
    """The type of a setting as Dagster's configuration has it: texts for choices, and any mapping for mappings."""
    if get_origin(annotation) is Literal:
        return str
    return dict[str, Any] if get_origin(annotation) is dict else annotation


class PipelineResource(_with_fields(fields_of("run"))):
    """How the stages work: every field is a setting (`podcast-assets settings` explains them), and can be set for one run."""

    def chosen(self) -> Profile:
        """The engines of this run."""
        return choose_profile(self.settings())


_SHARDS = ("shard_bytes", "shard_codec")
"""Settings of runs that a release has a say in too: it merges small shards."""


class ReleaseResource(_with_fields(fields_of("release") | {name: fields_of("run")[name] for name in _SHARDS})):
    """What is released, and where to: every field is a setting, and can be set for one run."""
