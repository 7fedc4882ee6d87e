"""Whether Dagster has runs that are not finished, told without Dagster where that can be: to import it takes two seconds."""

import contextlib
import sqlite3
from pathlib import Path

UNFINISHED = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")
"""Statuses of runs that wait or go on."""


def may_have_unfinished_runs(home: Path) -> bool:
    """False where Dagster's own database on this machine has no run that waits or goes on; True where only Dagster can say.

    Args:
        home: Dagster's instance folder.
    """
    try:
        if "storage:" in (home / "dagster.yaml").read_text():  # not where Dagster keeps it by default
            return True
        database = f"{(home / 'history' / 'runs.db').absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True, timeout=1)) as connection:
            marks = ", ".join("?" * len(UNFINISHED))
            found = connection.execute(f"SELECT 1 FROM runs WHERE status IN ({marks}) LIMIT 1", UNFINISHED)  # noqa: S608
            return found.fetchone() is not None
    except (OSError, sqlite3.Error):
        return True
