"""Settings of the store and the profile."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup, check_without_secrets

ProfileName = Literal["auto", "demo", "embedded", "cpu", "gpu"]


class StoreSettings(SettingsGroup):
    """Where data are kept, and with which set of engines they are processed."""

    heading: ClassVar = "Store and profile"

    store: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="store",
        description="Where everything is kept: a folder, or s3://BUCKET/PREFIX (docs/operations/store.md).",
    )
    store_access: Literal["private", "group", "umask"] = Field(
        json_schema_extra=DEPLOYMENT,
        default="private",
        description="Who may read new files of a store in a folder: only this user (0600, folders 0700), the group too (0660, "
        "0770), or as the umask says. What exists keeps its permissions.",
    )
    profile: ProfileName = Field(
        default="auto",
        description="Set of engines. auto takes gpu or cpu where their models are available, otherwise embedded "
        "(docs/guides/engines.md).",
    )
    whisper_model: str | None = Field(
        default=None,
        description="Whisper model of the profiles cpu and gpu: a local folder or a hub id. Unset: small on CPUs, "
        "large-v3-turbo on GPUs.",
    )

    _check_store = field_validator("store")(check_without_secrets)
