"""What people see in a terminal while a run goes on: our own lines, without Dagster's events around them."""

import logging
import sys

import dagster as dg


class _Lines(logging.Formatter):
    """The message as the asset wrote it; warnings and errors say what they are."""

    def format(self, record: logging.LogRecord) -> str:
        meta = getattr(record, "dagster_meta", None) or {}
        message = (
            str(meta.get("orig_message") or record.getMessage()) if isinstance(meta, dict) else record.getMessage()
        )
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


@dg.logger
def terminal_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    """A logger for standard error that prints what the assets log from INFO on, and nothing of Dagster's own events."""
    logger = logging.Logger("podcast_assets.terminal", level=logging.INFO)  # noqa: LOG001 - one per run, not shared
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(lambda record: (getattr(record, "dagster_meta", None) or {}).get("dagster_event") is None)
    logger.addHandler(handler)
    return logger
