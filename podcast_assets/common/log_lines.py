"""Format of log lines: plain text for a terminal, or one JSON object per line.

The batch, stage and episode of a record are fields beside its message: `log_context` sets them for everything logged in a block,
`extra={"episode": …}` for one record.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import EventDict, WrappedLogger

from podcast_assets.common.printable import printable, printable_json
from podcast_assets.common.printable_logs import dagster_meta, indent_lines
from podcast_assets.common.redaction import redact_text

CONTEXT_FIELDS = ("batch", "stage", "episode")
"""Fields that say what a record is about; absent if they do not apply."""


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Attach a `batch`, `stage` or `episode` to everything that this thread logs in the block."""
    with bound_contextvars(**fields):
        yield


class PlainFormatter(logging.Formatter):
    """Formats a record as its message, with its level before warnings and errors.

    Args:
        detailed: also show the time, every level, and tracebacks, whose lines are indented.
    """

    def __init__(self, *, detailed: bool = False) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._detailed = detailed

    def format(self, record: logging.LogRecord) -> str:
        """Implement `logging.Formatter.format`."""
        message, level = redact_text(_own_message(record)), record.levelname.lower()
        if not self._detailed:
            return printable(message) if record.levelno < logging.WARNING else f"{level}: {printable(message)}"
        if record.exc_info:
            message = f"{message}\n{redact_text(self.formatException(record.exc_info))}"
        return f"{self.formatTime(record, self.datefmt)} {level}: {indent_lines(message.rstrip())}"


def json_formatter() -> logging.Formatter:
    """Make a formatter that writes one JSON object per line.

    Fields, if known: `time` (UTC), `level`, `logger`, `message`; `batch`, `stage`, `episode`; from Dagster `run_id`, `job`, `step`,
    `dagster_event`; and `exception` with its traceback.
    """
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            structlog.stdlib.ExtraAdder(allow=CONTEXT_FIELDS),
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _unwrap_dagster_record,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_texts,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(_dump, ensure_ascii=False),
        ],
    )


def _redact_texts(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    return {k: redact_text(v) if isinstance(v, str) else v for k, v in line.items()}


def _dump(line: EventDict, **options: Any) -> str:
    return printable_json(json.dumps(line, **options))


def _unwrap_dagster_record(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace Dagster's formatted message by the original one, and add Dagster's metadata of the record as fields."""
    record: logging.LogRecord = line["_record"]
    meta = dagster_meta(record)
    event = meta.get("dagster_event")
    fields = {
        "logger": record.name,
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "dagster_event": event.event_type_value if event else None,
        "event": meta.get("orig_message"),  # structlog's name for the message
    }
    return {**line, **{k: v for k, v in fields.items() if v is not None}}


def _own_message(record: logging.LogRecord) -> str:
    return str(dagster_meta(record).get("orig_message") or record.getMessage())


def configure_json_logging(level: int = logging.INFO) -> None:
    """Write this package's log records outside of runs to standard error, one JSON object per line.

    Args:
        level: least severe records that are written.
    """
    package = logging.getLogger("podcast_assets")
    if not package.handlers:
        handler = stderr_handler(json_formatter())
        # during a run, Dagster adds a handler of its own, which writes the line with the run's fields
        handler.addFilter(lambda _: package.handlers == [handler])
        package.addHandler(handler)
        package.propagate = False
    package.setLevel(level)


def stderr_handler(formatter: logging.Formatter) -> logging.Handler:
    """Make a logging handler that writes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler
