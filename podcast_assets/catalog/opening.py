"""The catalog for the time of a command: connected, of the right version, and left again."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import Engine

from podcast_assets.catalog.connection import catalog_url, connect, embedded_server, translate_errors
from podcast_assets.catalog.migrate import prepare
from podcast_assets.config.settings import Settings


@contextlib.contextmanager
def open_catalog(settings: Settings, *, check: bool = True, leave: bool = True) -> Iterator[Engine]:
    """Connect to the catalog while the block runs. The embedded server's tables are created or brought up to date.

    Args:
        settings: settings of the catalog.
        check: whether the version of the tables is checked.
        leave: whether the embedded server is left after the block; otherwise it is used until the process ends.

    Raises:
        CatalogTrouble: the database does not answer, or refuses something. The message is one line.
        Misconfigured: the catalog cannot be connected to, or has tables of another version.
    """
    embedded = catalog_url(settings) is None
    with translate_errors(settings):
        engine = connect(settings)
        try:
            if check:
                prepare(engine, embedded=embedded)
            yield engine
        finally:
            engine.dispose()
            if embedded and leave:
                embedded_server(settings).leave()
