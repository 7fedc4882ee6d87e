"""Locks between processes of one machine: flocks, which the kernel frees when their holder dies, by the library filelock."""

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
        path: made where it is not there, with its folder. It stays afterwards.
        waiting: logged where somebody else holds it.

    Raises:
        OSError: the file cannot be made or locked.
        RuntimeError: this thread holds it already, and would wait for itself.
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
        path: made where it is not there, with its folder.
        waiting: logged where somebody else holds it.

    Raises:
        OSError: the file cannot be made or locked.
        RuntimeError: this thread holds it already, and would wait for itself.
    """
    with file_lock(path, waiting):
        try:
            yield
        finally:
            # whoever opened it just before sees by its number of links that it is gone, and takes the file that is there then
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def try_file_lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock file while the block runs; yields whether it is held.

    Args:
        path: made where it is not there, with its folder.

    Raises:
        OSError: the file cannot be made or locked.
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
        # who acquires it may not be who releases it: a context manager may be left in another thread
        thread_local=False,
        # where the file system has no flock, a file that only says "locked" would outlive a holder that is killed
        fallback_to_soft=False,
    )
