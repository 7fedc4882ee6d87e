"""Backup of what people decided, which is nowhere but in the catalog: one file of JSON lines in the store."""

import datetime
import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Engine, Table, Uuid, delete, select
from sqlalchemy.dialects.postgresql import insert

from podcast_assets.catalog.migrate import check_version, current_version
from podcast_assets.catalog.tables import DECISIONS, QUEUE_BATCHES, SAMPLES, kept_tables, quoting_columns
from podcast_assets.common.errors import BadInput
from podcast_assets.store.store import Store

KEY = "catalog/decisions.jsonl"
"""The backup's key in the store."""
_FORMAT = "podcast-assets catalog backup 1"


def backup(engine: Engine, store: Store) -> dict[str, int]:
    """Write all rows of the kept tables to the store, in place of an earlier backup. Return table → rows.

    Raises:
        Misconfigured: the catalog's tables are of another version, or do not exist.
        OSError: the store cannot be written to.
    """
    counts = dict.fromkeys((table.name for table in kept_tables()), 0)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        check_version(connection)
        with store.writing(KEY) as file:
            for line in _lines(connection, counts):
                file.write(line)
    return counts


def restore(engine: Engine, store: Store) -> dict[str, int]:
    """Add the rows of the backup that are missing, in one transaction; rows that exist stay as they are.

    Returns:
        Table → rows that were added.

    Raises:
        BadInput: there is no backup, or it is damaged.
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    tables = {table.name: table for table in kept_tables()}
    added = dict.fromkeys(tables, 0)
    with engine.begin() as connection:
        check_version(connection)
        for name, row in _read(store):
            if name not in tables:
                raise BadInput(
                    f"{store.path(KEY)} has rows of a table {name}, which this version does not know: install a later one"
                )
            statement = insert(tables[name]).values(_typed(tables[name], row)).on_conflict_do_nothing()
            added[name] += len(connection.execute(statement.returning(*tables[name].primary_key.columns)).all())
        if added[DECISIONS.name] or added[SAMPLES.name]:
            connection.execute(delete(QUEUE_BATCHES))  # the queues are made again, with what was decided
    return added


def forget_texts(store: Store, places: Collection[str]) -> int:
    """Remove what the backup quotes of episodes that were taken down (`batch/episode_id`). Return the number of changed rows."""
    if not store.exists(KEY):
        return 0
    episodes = {place.split("/", 1)[1] for place in places}
    changed = 0

    def without_texts(name: str, row: dict[str, Any]) -> dict[str, Any]:
        nonlocal changed
        ours = (
            f"{row['batch']}/{row['episode_id']}" in places if row.get("batch") else row.get("episode_id") in episodes
        )
        if name == DECISIONS.name and ours and any(row[column] for column in quoting_columns(row["action"])):
            changed += 1
            return row | dict.fromkeys(quoting_columns(row["action"]))
        return row

    _rewrite(store, without_texts)
    return changed


def _rewrite(store: Store, change: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
    head, *lines = store.read(KEY).splitlines()
    rows = [_encode({"table": name, "row": change(name, row)}) for name, row in _parse(store, lines)]
    store.write(KEY, b"".join([head + b"\n", *rows]))


def _lines(connection: Connection, counts: dict[str, int]) -> Iterator[bytes]:
    yield _encode({"format": _FORMAT, "schema": current_version(connection)})
    for table in kept_tables():
        for row in connection.execute(select(table).order_by(*table.primary_key.columns)).mappings():
            counts[table.name] += 1
            yield _encode({"table": table.name, "row": dict(row)})


def _read(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        head, *lines = store.read(KEY).splitlines()
        known = json.loads(head).get("format") == _FORMAT
    except FileNotFoundError:
        raise BadInput(f"there is no backup at {store.path(KEY)}: `podcast-assets catalog backup` makes one") from None
    except ValueError:
        known, lines = False, []
    if not known:
        raise BadInput(f"{store.path(KEY)} is not a backup of the catalog")
    yield from _parse(store, lines)


def _parse(store: Store, lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 2):
        try:
            found = json.loads(line)
            yield found["table"], found["row"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{store.path(KEY)}: line {number} is damaged: nothing was restored") from error


def _typed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Values as the columns have them, which JSON has as text."""
    return {name: _typed_value(table.columns[name], value) for name, value in row.items()}


def _typed_value(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, DateTime):
        return datetime.datetime.fromisoformat(value)
    return uuid.UUID(value) if isinstance(column.type, Uuid) else value


def _encode(value: dict[str, Any]) -> bytes:
    return f"{json.dumps(value, ensure_ascii=False, default=str)}\n".encode()
