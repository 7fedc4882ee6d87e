"""Group roles: who may read, decide and load; and a server whose user may create none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from podcast_assets.catalog.loading.load import load_batch
from podcast_assets.catalog.migrate import migrate
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch

INSERT = "INSERT INTO podcast_catalog.decisions (episode_id, action) VALUES ('first-one', 'skip')"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.at(tmp_path)
    commit_filled_batch(store, "first")
    return store


def acting_as(engine: Engine, role: str) -> Engine:
    """Connections that have the rights of a role and no others."""
    return create_engine(engine.url, connect_args={"host": engine.url.query["host"], "options": f"-c role={role}"})


def test_each_role_may_do_what_it_is_for(catalog: Engine, store: Store) -> None:
    loader, reviewer, reader = (acting_as(catalog, f"podcast_catalog_{r}") for r in ("loader", "reviewer", "reader"))
    assert load_batch(loader, store, "first", words=True).changed
    denied = {
        reader: [INSERT, "DELETE FROM podcast_catalog.segments", "DROP TABLE podcast_catalog.words"],
        reviewer: [
            "UPDATE podcast_catalog.decisions SET action = 'x'",
            "DELETE FROM podcast_catalog.decisions",
            "UPDATE podcast_catalog.segments SET text = 'x'",
        ],
        loader: [INSERT, "DELETE FROM podcast_catalog.decisions", "DROP TABLE podcast_catalog.words"],
    }
    for engine, statements in denied.items():
        with engine.begin() as connection:
            assert connection.scalar(text("SELECT count(*) FROM podcast_catalog.transcripts")) == 8
            assert connection.scalar(text("SELECT count(*) FROM podcast_catalog.decisions")) == 0
        for statement in statements:
            with (
                pytest.raises(ProgrammingError, match=r"permission denied|must be owner"),
                engine.begin() as connection,
            ):
                connection.execute(text(statement))
    with reviewer.begin() as connection:
        connection.execute(text(INSERT))
    for engine in denied:
        engine.dispose()


@pytest.fixture
def plain_owner(empty_database: Engine) -> Iterator[Engine]:
    """A user who owns a database, and may create no roles."""
    with empty_database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for role in ("reader", "reviewer", "loader"):
            connection.execute(text(f"DROP OWNED BY podcast_catalog_{role}"))
            connection.execute(text(f"DROP ROLE podcast_catalog_{role}"))
        connection.execute(text("CREATE ROLE plain_owner"))
        connection.execute(text("GRANT CREATE ON DATABASE catalog TO plain_owner"))
    engine = acting_as(empty_database, "plain_owner")
    yield engine
    engine.dispose()
    with empty_database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP OWNED BY plain_owner CASCADE"))
        connection.execute(text("DROP ROLE plain_owner"))


def test_without_the_right_to_create_roles_the_tables_are_made_and_it_is_said(
    plain_owner: Engine, store: Store
) -> None:
    done = migrate(plain_owner)
    assert done.roles_missing is not None
    assert "CREATE ROLE podcast_catalog_reader NOLOGIN" in done.roles_missing
    assert load_batch(plain_owner, store, "first", words=False).changed
