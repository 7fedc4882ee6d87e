"""Log records of any library as text that stays on its line and shows no secrets. Fast to import."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from podcast_assets.common.printable import printable
from podcast_assets.common.redaction import redact_text

_INDENT = "    "


class PrintableFormatter(logging.Formatter):
    """Formats as another formatter does, but with the message on one line, without control characters and secrets.

    Events of Dagster and tracebacks have several lines: those after the first are indented, so that none looks like a record.

    Args:
        inner: the other formatter, which may add colours of its own; None for the message alone.
    """

    def __init__(self, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Implement `logging.Formatter.format`."""
        several = dagster_meta(record).get("dagster_event") is not None
        safe = copy.copy(record)
        message = redact_text(record.getMessage())
        safe.msg, safe.args = indent_lines(message) if several else printable(message), None
        if record.exc_info and not record.exc_text:
            safe.exc_text = self.formatException(record.exc_info)
        if safe.exc_text:
            safe.exc_text = _INDENT + indent_lines(redact_text(safe.exc_text))
        return self._inner.format(safe)


def indent_lines(text: str) -> str:
    """Make a text of several lines printable; those after the first are indented, so that none looks like a record."""
    return printable(text, keep_newlines=True).replace("\n", f"\n{_INDENT}")


def level_number(name: str) -> int:
    """Number of a log level, such as 10 for `debug`."""
    return logging.getLevelNamesMapping()[name.upper()]


def dagster_meta(record: logging.LogRecord) -> Mapping[str, Any]:
    """Dagster's metadata of a record that was logged in a run; empty for other records."""
    meta = getattr(record, "dagster_meta", None)
    return meta if isinstance(meta, dict) else {}
