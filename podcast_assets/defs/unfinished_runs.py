"""Unfinished Dagster runs, and whether the queue is paused, without importing Dagster, which takes two seconds."""

import contextlib
import sqlite3
from pathlib import Path

UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Statuses of unfinished runs."""
PAUSED_SINCE = "podcast-assets/paused_since"
"""Key in Dagster's database of the time at which the queue was paused; empty or missing if it is not."""


def count_unfinished_runs(home: Path) -> tuple[int, int] | None:
    """Count the unfinished runs in an instance's SQLite database.

    Args:
        home: folder of the instance.

    Returns:
        Number of runs that wait in the queue, and of those that start, run or are being canceled; None if the instance uses another
        storage, does not exist, or cannot be read.
    """
    try:
        with contextlib.closing(_connect(home)) as connection:
            marks = ", ".join("?" * len(UNFINISHED))
            query = f"SELECT status, COUNT(*) FROM runs WHERE status IN ({marks}) GROUP BY status"  # noqa: S608
            found = dict(connection.execute(query, UNFINISHED).fetchall())
    except (OSError, sqlite3.Error):
        return None
    waiting = sum(found.pop(status, 0) for status in ("QUEUED", "NOT_STARTED"))
    return waiting, sum(found.values())


def read_pause(home: Path) -> str | None:
    """Read since when the queue of an instance is paused, from its SQLite database.

    Args:
        home: folder of the instance.

    Returns:
        The time, for people; None if it is not paused, or if the instance uses another storage, does not exist, or cannot be read.
    """
    try:
        with contextlib.closing(_connect(home)) as connection:
            found = connection.execute("SELECT value FROM kvs WHERE key = ?", (PAUSED_SINCE,)).fetchone()
    except (OSError, sqlite3.Error):
        return None
    return (found[0] or None) if found else None


def may_have_unfinished_runs(home: Path) -> bool:
    """Check whether an instance may have unfinished runs.

    Args:
        home: folder of the instance.

    Returns:
        False if its SQLite database has no unfinished run; True otherwise, and if the instance uses another storage.
    """
    count = count_unfinished_runs(home)
    return count is None or any(count)


def _connect(home: Path) -> sqlite3.Connection:
    """Open the SQLite database of an instance read-only.

    Raises:
        OSError, sqlite3.Error: there is none.
    """
    if "storage:" in (home / "dagster.yaml").read_text():
        raise FileNotFoundError(f"the instance in {home} is not in the default SQLite database")
    database = f"{(home / 'history' / 'runs.db').absolute().as_uri()}?mode=ro"
    return sqlite3.connect(database, uri=True, timeout=1)
