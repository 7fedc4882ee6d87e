"""The schema: from nothing, twice, and of another version than the package's."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import DBAPIError

from podcast_assets.catalog.migrate import Migration, check_version, latest_version, migrate, prepare
from podcast_assets.catalog.tables import DECISIONS, METADATA, SCHEMA
from podcast_assets.common.errors import Misconfigured


def test_migrations_make_the_tables_and_run_once(empty_database: Engine) -> None:
    assert migrate(empty_database) == Migration(None, latest_version(), None)
    assert migrate(empty_database) == Migration(latest_version(), latest_version(), None)
    with empty_database.connect() as connection:
        # the table of vectors is not everywhere, so it is not one of the migrations'
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: name != "embeddings" if kind == "table" else kind != "schema" or name == SCHEMA,
            "version_table": "schema_version", "version_table_schema": SCHEMA,
        }  # fmt: skip
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []
        check_version(connection)


def test_two_migrations_at_once_take_turns(empty_database: Engine) -> None:
    with ThreadPoolExecutor() as pool:
        found = [future.result() for future in [pool.submit(migrate, empty_database) for _ in range(2)]]
    assert sorted(one.before or "" for one in found) == ["", latest_version()]


def test_dagsters_version_table_is_left_alone(empty_database: Engine) -> None:
    with empty_database.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS public.alembic_version (version_num text)"))
        connection.execute(text("INSERT INTO public.alembic_version VALUES ('of Dagster')"))
    migrate(empty_database)
    with empty_database.begin() as connection:
        assert connection.scalar(text("SELECT version_num FROM public.alembic_version")) == "of Dagster"
        connection.execute(text("DROP TABLE public.alembic_version"))


def test_another_version_is_refused_with_what_to_do(empty_database: Engine) -> None:
    with (
        empty_database.connect() as connection,
        pytest.raises(Misconfigured, match="no tables yet: run `podcast-assets cat"),
    ):
        check_version(connection)
    migrate(empty_database)
    with empty_database.begin() as connection:
        connection.execute(text(f"UPDATE {SCHEMA}.schema_version SET version_num = '9999'"))
    with empty_database.connect() as connection, pytest.raises(Misconfigured, match=r"later version .*9999"):
        check_version(connection)
    with pytest.raises(Misconfigured, match=r"later version .*9999"):
        migrate(empty_database)


def test_only_the_embedded_server_is_migrated_unasked(empty_database: Engine) -> None:
    with pytest.raises(Misconfigured, match="podcast-assets catalog migrate"):
        prepare(empty_database, embedded=False)
    prepare(empty_database, embedded=True)
    prepare(empty_database, embedded=False)


def test_decisions_are_added_and_never_changed(catalog: Engine) -> None:
    with catalog.begin() as connection:
        connection.execute(
            insert(DECISIONS).values(episode_id="e", action="text", value={"text": "what"}, note="n", decided_by="me")
        )
    refused = (
        "DELETE FROM {}",
        "TRUNCATE {}",
        "UPDATE {} SET decided_by = 'somebody else'",
        'UPDATE {} SET value = \'{{"text": "other"}}\'',
        "UPDATE {} SET note = 'other'",
        "UPDATE {} SET note = NULL, action = 'label'",
    )
    for statement in refused:
        with catalog.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(statement.format(f"{SCHEMA}.decisions")))
    with catalog.begin() as connection:  # what a takedown does, and an export
        connection.execute(text(f"UPDATE {SCHEMA}.decisions SET value = NULL, note = NULL, reported_at = now()"))
    with catalog.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(f"UPDATE {SCHEMA}.decisions SET reported_at = NULL"))


def test_roles_read_and_write_what_their_names_say(catalog: Engine) -> None:
    rights = {
        "reader": {"segments": "SELECT", "decisions": "SELECT", "users": "", "tokens": "", "leases": "SELECT"},
        "reviewer": {"segments": "SELECT", "decisions": "SELECT INSERT", "users": "", "sessions": "", "audit": ""},
        "loader": {
            "segments": "SELECT INSERT UPDATE DELETE",
            "decisions": "SELECT",
            "users": "",
            "samples": "SELECT DELETE",
        },
        "page": {
            "segments": "SELECT",
            "decisions": "SELECT INSERT",
            "users": "SELECT INSERT UPDATE DELETE",
            "leases": "SELECT INSERT UPDATE DELETE",
            "audit": "SELECT INSERT",
        },
    }
    with catalog.connect() as connection:
        for role, tables in rights.items():
            for table, expected in tables.items():
                query = text("SELECT has_table_privilege(:role, :table, :right)")
                given = {"role": f"{SCHEMA}_{role}", "table": f"{SCHEMA}.{table}"}
                found = [
                    r
                    for r in ("SELECT", "INSERT", "UPDATE", "DELETE")
                    if connection.scalar(query, given | {"right": r})
                ]
                assert " ".join(found) == expected, (role, table)


def test_a_server_that_refuses_pgvector_gets_everything_else(
    empty_database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podcast_assets.catalog.embeddings.schema._STATEMENTS", ("CREATE EXTENSION nosuchextension",))
    done = migrate(empty_database)
    assert "CREATE EXTENSION vector" in (done.vectors_missing or "")
    with empty_database.connect() as connection:
        check_version(connection)
        assert connection.scalar(text(f"SELECT to_regclass('{SCHEMA}.embeddings')")) is None
    monkeypatch.undo()
    assert migrate(empty_database).vectors_missing is None, "once it is installed"
