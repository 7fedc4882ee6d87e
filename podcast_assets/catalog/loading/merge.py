"""Bring the rows of a batch into the catalog: by COPY into temporary tables, then only what differs."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, text

from podcast_assets.catalog.copying import copy_rows
from podcast_assets.catalog.loading.rows import Frames
from podcast_assets.catalog.tables import EPISODES, PODCASTS, SCHEMA

_BATCH_LOCKS = 0x706F6463
"""First key of the advisory locks of batches; the second is a hash of the name, so that two may share a lock."""
_MERGE_LOCK = 0x706F64636D7267
"""Advisory lock of the short part in which rows become others': batches share podcasts, and would deadlock."""


@dataclass
class Merged:
    """What a merge changed."""

    added: dict[str, int] = field(default_factory=dict)
    """Table → rows that were added or changed."""
    removed: dict[str, int] = field(default_factory=dict)
    """Table → rows that were removed or changed."""


def lock_batch(connection: Connection, batch: str) -> None:
    """Wait until no other transaction loads or removes the batch. The lock ends with the transaction."""
    connection.execute(
        text("SELECT pg_advisory_xact_lock(:kind, hashtext(:batch))"), {"kind": _BATCH_LOCKS, "batch": batch}
    )


def stage(connection: Connection, frames: Frames) -> None:
    """Copy rows into temporary tables, where only this transaction sees them."""
    for table, rows in frames.items():
        staged = _staged(table)
        connection.execute(text(f"CREATE TEMPORARY TABLE {staged} (LIKE {_name(table)}) ON COMMIT DROP"))
        if rows.height:
            copy_rows(connection, staged, rows)
            # without statistics the planner joins row by row
            connection.execute(text(f"ANALYZE {staged}"))


def merge(connection: Connection, batch: str, frames: Frames) -> Merged:
    """Make the batch's rows equal to the staged ones: remove what is gone or differs, and add what is missing.

    Rows that stay are not touched, so that loading again costs little. The caller committed nothing yet, and commits afterwards.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MERGE_LOCK})
    merged = Merged()
    own = [table for table in frames if table is not PODCASTS]
    connection.execute(text(_TOUCH_PODCASTS), {"batch": batch})
    connection.execute(text("INSERT INTO touched_podcasts SELECT podcast FROM staged_podcasts"))
    for table in reversed(own):
        _count(merged.removed, table, connection.execute(text(_delete(table)), {"batch": batch}).rowcount)
    added = connection.execute(text(_ADD_PODCASTS)).rowcount
    for table in own:
        _count(merged.added, table, connection.execute(text(_insert(table)), {"batch": batch}).rowcount)
    _count(merged.added, PODCASTS, added + connection.execute(text(_NAME_PODCASTS)).rowcount)
    if merged.removed.get(EPISODES.name):
        _count(merged.removed, PODCASTS, connection.execute(text(_DELETE_PODCASTS)).rowcount)
    return merged


def remove(connection: Connection, batch: str) -> int:
    """Remove a batch with everything that belongs to it; return its number of segments."""
    lock_batch(connection, batch)
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MERGE_LOCK})
    connection.execute(text(_TOUCH_PODCASTS), {"batch": batch})
    # what depends on segments goes first, because cascading looks up every single row
    for name in ("words", "scores", "content_flags"):
        connection.execute(text(f"DELETE FROM {SCHEMA}.{name} WHERE batch = :batch"), {"batch": batch})
    found = connection.execute(text(f"DELETE FROM {SCHEMA}.segments WHERE batch = :batch"), {"batch": batch}).rowcount
    connection.execute(text(f"DELETE FROM {SCHEMA}.batches WHERE batch = :batch"), {"batch": batch})
    connection.execute(text(_NAME_PODCASTS))
    connection.execute(text(_DELETE_PODCASTS))
    return found


def _count(counts: dict[str, int], table: Table, rows: int) -> None:
    if rows:
        counts[table.name] = rows


def _staged(table: Table) -> str:
    return f"staged_{table.name}"


def _name(table: Table) -> str:
    return f"{SCHEMA}.{table.name}"


def _columns(table: Table, prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{c.name}"' for c in table.columns)


def _same_key(table: Table) -> str:
    return " AND ".join(f'old."{c.name}" = new."{c.name}"' for c in table.primary_key.columns)


def _delete(table: Table) -> str:
    return (
        f"DELETE FROM {_name(table)} AS old WHERE old.batch = :batch AND NOT EXISTS (SELECT FROM {_staged(table)} AS new "
        f"WHERE {_same_key(table)} AND ({_columns(table, 'new.')}) IS NOT DISTINCT FROM ({_columns(table, 'old.')}))"
    )


def _insert(table: Table) -> str:
    return (
        f"INSERT INTO {_name(table)} ({_columns(table)}) SELECT {_columns(table, 'new.')} FROM {_staged(table)} AS new "
        f"WHERE NOT EXISTS (SELECT FROM {_name(table)} AS old WHERE old.batch = :batch AND {_same_key(table)})"
    )


_TOUCH_PODCASTS = f"""
CREATE TEMPORARY TABLE touched_podcasts ON COMMIT DROP AS
SELECT DISTINCT podcast FROM {SCHEMA}.episodes WHERE batch = :batch AND podcast IS NOT NULL
"""
_ADD_PODCASTS = f"""
INSERT INTO {SCHEMA}.podcasts (podcast, podcast_id, title)
SELECT podcast, podcast_id, title FROM staged_podcasts ORDER BY podcast ON CONFLICT (podcast) DO NOTHING
"""
# from the episodes of all batches, so that the order in which batches are loaded does not matter
_NAME_PODCASTS = f"""
UPDATE {SCHEMA}.podcasts AS old SET podcast_id = new.podcast_id, title = new.title
FROM (
    SELECT podcast, max(podcast_id) AS podcast_id, max(podcast_title) AS title FROM {SCHEMA}.episodes
    WHERE podcast IN (SELECT podcast FROM touched_podcasts) GROUP BY podcast
) AS new
WHERE old.podcast = new.podcast AND (old.podcast_id, old.title) IS DISTINCT FROM (new.podcast_id, new.title)
"""
_DELETE_PODCASTS = f"""
DELETE FROM {SCHEMA}.podcasts p WHERE NOT EXISTS (SELECT FROM {SCHEMA}.episodes e WHERE e.podcast = p.podcast)
"""
