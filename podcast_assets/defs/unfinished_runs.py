"""Check for unfinished Dagster runs without importing Dagster, which takes two seconds."""

import contextlib
import sqlite3
from pathlib import Path

UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Statuses of unfinished runs."""


def may_have_unfinished_runs(home: Path) -> bool:
    """Check whether an instance may have unfinished runs.

    Args:
        home: folder of the instance.

    Returns:
        False if its SQLite database has no unfinished run; True otherwise, and if the instance uses another storage.
    """
    try:
        if "storage:" in (home / "dagster.yaml").read_text():  # not in the default SQLite database
            return True
        database = f"{(home / 'history' / 'runs.db').absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=1)) as connection:
            marks = ", ".join("?" * len(UNFINISHED))
            found = connection.execute(f"SELECT 1 FROM runs WHERE status IN ({marks}) LIMIT 1", UNFINISHED)  # noqa: S608
            return found.fetchone() is not None
    except (OSError, sqlite3.Error):
        return True
