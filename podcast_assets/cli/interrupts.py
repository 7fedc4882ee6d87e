"""Ctrl+C and SIGTERM end a command with one line, and with the exit code that shells expect."""

import logging
import os
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_reader: int | None = None


def watch_signals() -> None:
    """Let SIGTERM raise KeyboardInterrupt as Ctrl+C does, and record which of the two came.

    Dagster replaces the handlers during a run, and does not tell which signal it was. The file descriptor to which Python writes
    the number of every signal stays. Call it in the main thread.
    """
    global _reader
    if _reader is not None:
        return
    _reader, writer = os.pipe()
    for end in (_reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=_unwatch)  # signals to a child are not for this process
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    hide_interrupted_connections()


def hide_interrupted_connections() -> None:
    """Keep SQLAlchemy from logging a traceback where it is interrupted while it closes a connection; it raises it too."""
    for pool in ("NullPool", "QueuePool"):
        logging.getLogger(f"sqlalchemy.pool.impl.{pool}").addFilter(_is_no_interrupt)


def exit_code() -> int:
    """Exit code of an interrupted command: 128 plus the number of the signal, of Ctrl+C if none was recorded."""
    try:
        received = b"" if _reader is None else os.read(_reader, 1 << 16)
    except BlockingIOError:  # nothing was written
        received = b""
    return 128 + next((number for number in received if number in _SIGNALS), signal.SIGINT)


def _is_no_interrupt(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], KeyboardInterrupt))


def _unwatch() -> None:
    signal.set_wakeup_fd(-1)
