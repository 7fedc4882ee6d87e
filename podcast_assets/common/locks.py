"""Locks between processes of one machine. The kernel releases them (flock) when their holder dies."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextlib.contextmanager
def file_lock(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file while the block runs; other processes wait.

    Args:
        path: created with its folder if it does not exist, and not removed afterwards.
        waiting: message to log if another process holds the lock.

    Raises:
        OSError: the file cannot be created or locked.
        RuntimeError: this thread already holds the lock, and would wait for itself.
    """
    lock = _make_lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("%s", waiting)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def temporary_file_lock(path: Path, waiting: str) -> Iterator[None]:
    """Like `file_lock`, but remove the lock file after the block (it stays if the process is killed).

    Args:
        path: created with its folder if it does not exist.
        waiting: message to log if another process holds the lock.

    Raises:
        OSError: the file cannot be created or locked.
        RuntimeError: this thread already holds the lock, and would wait for itself.
    """
    with file_lock(path, waiting):
        try:
            yield
        finally:
            # a process that has just opened it sees from the link count that it is gone, and opens it again
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock file while the block runs; yields whether it is held.

    Args:
        path: created with its folder if it does not exist.

    Raises:
        OSError: the file cannot be created or locked.
    """
    lock = _make_lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
    else:
        try:
            yield True
        finally:
            lock.release()


def _make_lock(path: Path) -> FileLock:
    return FileLock(
        path,
        # a context manager may be left in another thread than it was entered in
        thread_local=False,
        # a soft lock, for file systems without flock, would outlive a holder that is killed
        fallback_to_soft=False,
    )
