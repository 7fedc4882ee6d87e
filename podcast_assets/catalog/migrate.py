"""Schema of the catalog: migrate it, and refuse a database of another version."""

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from podcast_assets.catalog.roles import grant_roles
from podcast_assets.catalog.tables import SCHEMA
from podcast_assets.common.errors import Misconfigured

_LOCK = 0x706F6463617374
"""Key of PostgreSQL's advisory lock that makes migrations take turns."""


@dataclass(frozen=True)
class Migration:
    """What a migration did."""

    before: str | None
    """Version before; None for a new schema."""
    after: str
    roles_missing: str | None
    """Why there are no group roles; None where there are."""


def migrate(engine: Engine, revision: str = "head") -> Migration:
    """Bring the schema to the version of this package, in one transaction. Creates it if it does not exist.

    Args:
        engine: engine of the database.
        revision: migration to stop at.

    Raises:
        Misconfigured: the schema is of a later version of the package.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = current_version(connection)
        _refuse_unknown(before)
        if before is None:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        after = current_version(connection)
        assert after is not None
        return Migration(before, after, grant_roles(connection))


def prepare(engine: Engine, *, embedded: bool) -> None:
    """Check the version of the schema; the embedded server, which is nobody else's, is migrated where needed.

    Raises:
        Misconfigured: the schema is of another version; the message says what to do.
    """
    if embedded:
        with engine.connect() as connection:
            current = current_version(connection)
        if current != latest_version():
            migrate(engine)
    else:
        with engine.connect() as connection:
            check_version(connection)


def check_version(connection: Connection) -> None:
    """Check that the schema is of this version of the package.

    Raises:
        Misconfigured: it is earlier, later, or does not exist; the message says what to do.
    """
    found = current_version(connection)
    if found == latest_version():
        return
    _refuse_unknown(found)
    state = "has no tables yet" if found is None else f"has the tables of an earlier version ({found})"
    raise Misconfigured(f"the catalog {state}: run `podcast-assets catalog migrate`")


def current_version(connection: Connection) -> str | None:
    """Return the version of the schema; None if there is none."""
    options = {"version_table": "schema_version", "version_table_schema": SCHEMA}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def latest_version() -> str:
    """Return the version of the schema that this package is made for."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


def _refuse_unknown(version: str | None) -> None:
    if version is not None and version not in {script.revision for script in _scripts().walk_revisions()}:
        raise Misconfigured(
            f"the catalog has the tables of a later version of podcast-assets ({version}, here {latest_version()}): install that "
            "version, or give this one a database of its own"
        )


def _config() -> Config:
    config = Config()
    # a per cent sign would be taken for an interpolation
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
