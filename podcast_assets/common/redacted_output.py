"""Redaction of what a process writes without our code: log records of libraries, and tracebacks of errors that nobody catches."""

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from podcast_assets.common.redaction import redact_text

_RAW = frozenset({"uvicorn.access"})
"""Loggers whose formatters need the arguments of a record; their lines are not shown by default."""


def redact_output() -> None:
    """Redact the messages of all log records of this process, and the tracebacks that end it or one of its threads.

    Records are redacted when they are created, because some handlers store them: Dagster's in its database.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _RedactingFactory):
        logging.setLogRecordFactory(_RedactingFactory(factory))
    sys.excepthook = _print_error
    threading.excepthook = _print_thread_error


class _RedactingFactory:
    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._factory(*args, **kwargs)
        if record.name in _RAW:
            return record
        try:
            message = record.getMessage()
        except Exception:  # its handlers report wrong arguments
            return record
        if (redacted := redact_text(message)) != message:
            record.msg, record.args = redacted, None
        return record


def _print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    sys.stderr.write(redact_text("".join(traceback.format_exception(kind, error, trace))))


def _print_thread_error(thread: threading.ExceptHookArgs) -> None:
    if thread.exc_value is not None and not issubclass(thread.exc_type, SystemExit):
        name = thread.thread.name if thread.thread else "?"
        sys.stderr.write(f"Exception in thread {name}:\n")
        _print_error(thread.exc_type, thread.exc_value, thread.exc_traceback)
