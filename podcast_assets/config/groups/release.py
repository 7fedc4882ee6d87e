"""Settings of releases."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from podcast_assets.config.cron import check_cron
from podcast_assets.config.groups.group import DEPLOYMENT, RELEASE, SettingsGroup, check_without_secrets


class ReleaseSettings(SettingsGroup):
    """What is released, and where to."""

    heading: ClassVar = "Releases"

    publish: Literal["all", "kept"] = Field(
        json_schema_extra=RELEASE,
        default="all",
        description="Which segments are released: all, or only those that the policy keeps.",
    )
    hub_repo: str | None = Field(
        json_schema_extra=RELEASE,
        default=None,
        pattern=r"^[\w.-]+/[\w.-]+$",
        description="Dataset repository on the Hugging Face Hub, owner/name. HF_TOKEN (or hf auth login) authenticates, "
        "HF_ENDPOINT selects the server. Unset: releases go to PODCAST_RELEASE_FOLDER (docs/guides/release.md).",
    )
    hub_private: bool = Field(
        json_schema_extra=RELEASE, default=True, description="Whether a repository created by a release is private."
    )
    hub_gated: bool = Field(
        json_schema_extra=RELEASE,
        default=False,
        description="Whether readers must request access to a repository created by a release.",
    )
    release_folder: str | None = Field(
        json_schema_extra=RELEASE,
        default=None,
        description="Folder or s3://BUCKET/PREFIX for releases when no repository is set. Unset: dataset/ in the store.",
    )
    release_bytes: int | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        ge=1,
        description="The sensor enough_sealed releases once this many bytes are sealed and not yet released. Unset: never.",
    )
    release_cron: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="0 4 * * *",
        description="When the schedule nightly_release runs, once it is switched on: a cron expression in UTC.",
    )
    licenses: str = Field(
        json_schema_extra=RELEASE,
        default="public-domain,cc-by,cc-by-sa",
        min_length=1,
        description="Licences under which episodes are released, separated by commas: SPDX ids (cc-by-4.0), ids without a "
        "version (cc-by-nc), public-domain, the exact words of an agreement, or * for any "
        "(docs/guides/takedown.md).",
    )
    purge_history: bool = Field(
        json_schema_extra=RELEASE,
        default=True,
        description="After a takedown, also delete what was published from all commits of the Hub repository, permanently.",
    )

    _check_cron = field_validator("release_cron")(check_cron)
    _check_release_folder = field_validator("release_folder")(check_without_secrets)
