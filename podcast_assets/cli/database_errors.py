"""One line in place of a traceback where Dagster's database cannot be used."""

import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from podcast_assets.common.errors import first_line

_OUTDATED = "dagster instance migrate"
"""Part of Dagster's messages about tables that do not exist."""


def describe_database_error(error: BaseException) -> str | None:
    """Describe an error of Dagster's database in one line: what is wrong, that results are safe, and what to do.

    Returns:
        None if the error has another cause.
    """
    reason = _database_reason(error)
    if reason is None:
        return None
    home = Path(os.environ.get("DAGSTER_HOME", "."))
    files = sorted(home.glob("*/**/*.db"))
    if not files:
        return f"Dagster's database cannot be used ({reason}); results in the store are not affected"
    damaged = [str(path) for path in files if not _is_intact(path)]
    if "locked" in reason and not damaged:
        return f"Dagster's database in {home} is in use by another process ({reason}): try again"
    what = f"{', '.join(damaged)} is damaged" if damaged else f"the database in {home} cannot be used"
    return (
        f"Dagster's history of runs: {what} ({reason}). Results in the store are not affected. To begin a new instance, "
        f"move the folder {home} away and run the command again"
    )


def _database_reason(error: BaseException) -> str | None:
    """Message of the database's driver; None if no error in the chain is a database's."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import DBAPIError

    for cause in _causes(error):
        if isinstance(cause, sqlite3.Error):
            return first_line(cause)
        if isinstance(cause, DBAPIError):
            return first_line(cause.orig or cause)
        if _OUTDATED in str(cause):
            return "tables are missing"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_intact(path: Path) -> bool:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            return connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.Error:
        return False
