"""Opening the catalog: connected, with tables of this version, and errors of its database as one line."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import Engine

from podcast_assets.catalog.connection import catalog_url, connect, translate_errors
from podcast_assets.catalog.migrate import prepare
from podcast_assets.config.settings import Settings


@contextlib.contextmanager
def open_catalog(settings: Settings, *, check: bool = True) -> Iterator[Engine]:
    """Connect to the catalog while the block runs.

    Args:
        settings: the settings.
        check: whether the version of the tables is checked; those of the embedded server are migrated where needed.

    Raises:
        Misconfigured: the database does not answer or refuses something, or its tables are of another version.
    """
    with translate_errors(settings):
        engine = connect(settings)
        try:
            if check:
                prepare(engine, embedded=catalog_url(settings) is None)
            yield engine
        finally:
            engine.dispose()
