"""Settings of the catalog."""

from typing import ClassVar

from pydantic import Field, SecretStr

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup


class CatalogSettings(SettingsGroup):
    """The PostgreSQL database for search, review and statistics."""

    heading: ClassVar = "Catalog"

    catalog: bool = Field(
        json_schema_extra=DEPLOYMENT,
        default=False,
        description="Whether batches are loaded into the catalog, by the asset `catalog` (docs/guides/catalog.md). Setting "
        "PODCAST_CATALOG_URL enables it too.",
    )
    catalog_url: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="URL of the catalog's database, postgresql://USER:PASSWORD@HOST/DATABASE, with libpq's parameters such as "
        "?sslmode=verify-full. Unset: PostgreSQL in DAGSTER_HOME, without a server of yours. Never shown or logged.",
    )
    catalog_words: bool = Field(
        json_schema_extra=DEPLOYMENT,
        default=False,
        description="Whether the catalog has a row for each word with its times. Phrases are searched without them, and they are "
        "about ten times as many rows.",
    )

    @property
    def catalog_enabled(self) -> bool:
        """Whether batches are loaded into the catalog."""
        return self.catalog or self.catalog_url is not None
