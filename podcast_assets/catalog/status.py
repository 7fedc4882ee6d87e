"""What the catalog holds, and what of the store is not loaded yet."""

from dataclasses import dataclass

from sqlalchemy import Engine, func, select, text

from podcast_assets.catalog.loading.source import list_versions
from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import BATCHES, METADATA, SCHEMA
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class CatalogStatus:
    """State of the catalog."""

    version: str
    """Version of the tables."""
    rows: dict[str, int]
    """Table → rows."""
    bytes: int
    """Size on disk, with indexes."""
    not_loaded: list[str]
    """Batches of the store that are new, or changed since they were loaded."""
    gone: list[str]
    """Batches that the store does not have any more."""
    loaded_at: str | None
    """When a batch was loaded last; None if there is none."""


def read_status(engine: Engine, store: Store, *, words: bool) -> CatalogStatus:
    """Compare the catalog with the store.

    Raises:
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    versions = list_versions(store)
    with engine.connect() as connection:
        check_version(connection)
        rows = {t.name: connection.scalar(select(func.count()).select_from(t)) or 0 for t in METADATA.sorted_tables}
        known = {row.batch: (row.version, row.words) for row in connection.execute(select(BATCHES))}
        size = connection.scalar(
            text(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = :schema AND c.relkind = 'r'"
            ),
            {"schema": SCHEMA},
        )
        latest = connection.scalar(select(func.max(BATCHES.c.loaded_at)))
        version = connection.scalar(text(f"SELECT version_num FROM {SCHEMA}.schema_version"))
    return CatalogStatus(
        str(version),
        rows,
        int(size or 0),
        [batch for batch, found in versions.items() if known.get(batch) != (found, words)],
        sorted(known.keys() - versions.keys()),
        None if latest is None else latest.isoformat(),
    )
