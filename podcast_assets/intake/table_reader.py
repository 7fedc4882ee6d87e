"""The process in which tables and lists that strangers give are read, and its limits."""

from collections.abc import Collection
from typing import Any

from podcast_assets.common.limited_calls import Limit, LimitedCalls
from podcast_assets.intake.tables import read_table_rows

MEMORY = 4 << 30
"""Limit of the address space of the process in bytes; fifty million ids take half of it."""
SECONDS = 120.0
"""Time in which a file must be read, in seconds, and as much again for each `BYTES_PER_STEP` of it."""
BYTES_PER_STEP = 100 << 20

table_reader = LimitedCalls(MEMORY)


def seconds_to_read(size: int) -> float:
    """Time in which a file of some bytes must be read, in seconds."""
    return SECONDS * (1 + size // BYTES_PER_STEP)


def limit_for(what: str, size: int) -> Limit:
    """Limit of a call that reads a file of some bytes."""
    return Limit(what, seconds_to_read(size))


def read_rows(name: str, data: bytes, wanted: Collection[str]) -> list[dict[str, Any]]:
    """Read all rows of a table in a subprocess with limits, see `read_table_rows`.

    Raises:
        BadInput: the table cannot be read.
        ProcessLost: the subprocess was killed from outside.
    """
    return table_reader.call(limit_for(name, len(data)), read_table_rows, name, data, list(wanted))
