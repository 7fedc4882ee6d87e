"""A catalog on a real PostgreSQL, with the tables that search reads."""

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import text

from podcast_assets.catalog.search.schema import EMBEDDINGS, PHRASES
from podcast_assets_tests.catalog.stand_in_tables import TABLES
from podcast_assets_tests.servers.postgres import Postgres, postgres


@pytest.fixture(scope="session")
def search_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def search_database(search_server: Postgres) -> Iterator[sqlalchemy.Engine]:
    """An empty catalog in a database of its own."""
    name = f"catalog_{secrets.token_hex(4)}"
    base = sqlalchemy.URL.create(
        "postgresql+psycopg", "dagster", search_server.password, "127.0.0.1", search_server.port, "dagster"
    )
    admin = sqlalchemy.create_engine(base, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    database = sqlalchemy.create_engine(base.set(database=name))
    with database.begin() as connection:
        for statement in (*TABLES, *PHRASES, *EMBEDDINGS):
            connection.execute(text(statement))
    yield database
    database.dispose()
