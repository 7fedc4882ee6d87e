"""Format of log lines: plain text for a terminal, or one JSON object per line.

What a record is about, its batch, stage and episode, travels beside its text: `log_context` binds it for a block (and for all
that is logged in it), `extra={"episode": …}` gives it to one record.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import EventDict, WrappedLogger

ABOUT = ("batch", "stage", "episode")
"""Fields that say what a line is about; missing where it is about nothing of the kind."""


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Attach a `batch`, `stage` or `episode` to everything that this thread logs in the block."""
    with bound_contextvars(**fields):
        yield


class PlainLines(logging.Formatter):
    """The message as the asset wrote it; warnings and errors say what they are."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, after its level from warnings on."""
        message = _own_message(record)
        return message if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {message}"


def json_lines() -> logging.Formatter:
    """One JSON object per line, with what is known of its fields.

    `time` (UTC), `level`, `logger`, `message`; `batch`, `stage`, `episode`; of Dagster `run_id`, `job`, `step`, `dagster_event`;
    and `exception` with its traceback.
    """
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            structlog.stdlib.ExtraAdder(allow=ABOUT),
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _unwrap_dagster_record,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )


def _unwrap_dagster_record(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """The message without Dagster's words around it, and what Dagster knows of the record as fields."""
    record: logging.LogRecord = line["_record"]
    meta = dagster_meta(record)
    event = meta.get("dagster_event")
    known = {
        "logger": record.name,
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "dagster_event": event.event_type_value if event else None,
        "event": meta.get("orig_message"),  # structlog's name for the message
    }
    return {**line, **{k: v for k, v in known.items() if v is not None}}


def _own_message(record: logging.LogRecord) -> str:
    return str(dagster_meta(record).get("orig_message") or record.getMessage())


def dagster_meta(record: logging.LogRecord) -> Mapping[str, Any]:
    """What Dagster knows of a record that was logged in a run; empty for others."""
    meta = getattr(record, "dagster_meta", None)
    return meta if isinstance(meta, dict) else {}


def log_json_lines() -> None:
    """Write what this package logs outside of runs to standard error, one JSON object per line."""
    package = logging.getLogger("podcast_assets")
    if not package.handlers:
        handler = stderr_handler(json_lines())
        # while a run goes on, Dagster's handler is beside it, and writes the line with what it knows of the run
        handler.addFilter(lambda _: package.handlers == [handler])
        package.addHandler(handler)
        package.setLevel(logging.INFO)
        package.propagate = False


def stderr_handler(formatter: logging.Formatter) -> logging.Handler:
    """Make a logging handler that writes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    return handler
