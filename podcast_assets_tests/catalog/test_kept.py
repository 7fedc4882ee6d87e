"""Decisions outlive the database: backup and restore."""

import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, text, update

from podcast_assets.catalog.kept import KEY, backup, forget_texts, restore
from podcast_assets.catalog.migrate import migrate
from podcast_assets.catalog.tables import DECISIONS
from podcast_assets.common.errors import BadInput
from podcast_assets.store.store import Store


def decisions(engine: Engine) -> list[dict[str, object]]:
    with engine.connect() as connection:
        return [dict(r) for r in connection.execute(select(DECISIONS).order_by(DECISIONS.c.episode_id)).mappings()]


def decide(engine: Engine) -> None:
    at = datetime.datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=datetime.UTC)
    said = {"action": "text", "decided_by": "Zoë", "decided_at": at, "policy": "harmful"}
    with engine.begin() as connection:
        rows = [
            said | {"batch": "one", "episode_id": "a", "item_id": "a-1", "value": {"text": 'he said "no"\n'}},
            said | {"batch": "one", "episode_id": "b", "item_id": None, "value": {"text": "what b said"}},
        ]
        connection.execute(insert(DECISIONS), rows)


def test_decisions_come_back_after_the_database_is_dropped(catalog: Engine, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    decide(catalog)
    before = decisions(catalog)
    assert backup(catalog, store)["decisions"] == 2
    with catalog.begin() as connection:
        connection.execute(text("DROP SCHEMA podcast_catalog CASCADE"))
    migrate(catalog)
    assert decisions(catalog) == []
    assert restore(catalog, store)["decisions"] == 2
    assert decisions(catalog) == before
    with catalog.begin() as connection:
        connection.execute(update(DECISIONS).values(value=None))
    assert restore(catalog, store)["decisions"] == 0
    assert {row["value"] for row in decisions(catalog)} == {None}, "what the database has is newer than the backup"


def test_a_damaged_backup_restores_nothing(catalog: Engine, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    with pytest.raises(BadInput, match="there is no backup"):
        restore(catalog, store)
    decide(catalog)
    backup(catalog, store)
    data = store.read(KEY)
    with catalog.begin() as connection:
        connection.execute(text("DROP SCHEMA podcast_catalog CASCADE"))
    migrate(catalog)
    store.write(KEY, data[:-20])
    with pytest.raises(BadInput, match="line 3 is damaged: nothing was restored"):
        restore(catalog, store)
    store.write(KEY, b"something else\n")
    with pytest.raises(BadInput, match="is not a backup"):
        restore(catalog, store)
    assert decisions(catalog) == []


def test_what_was_taken_down_is_not_quoted_in_the_backup(catalog: Engine, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    assert forget_texts(store, ["one/b"]) == 0, "there is no backup yet"
    decide(catalog)
    backup(catalog, store)
    assert forget_texts(store, ["one/b"]) == 1
    assert b"what b said" not in store.read(KEY)
    with catalog.begin() as connection:
        connection.execute(text("DROP SCHEMA podcast_catalog CASCADE"))
    migrate(catalog)
    restore(catalog, store)
    assert [(row["action"], row["value"]) for row in decisions(catalog)] == [
        ("text", {"text": 'he said "no"\n'}),
        ("text", None),
    ]
