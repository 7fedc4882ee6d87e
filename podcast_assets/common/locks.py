"""Locks between processes of one machine. The kernel releases them (flock) when their holder dies."""

import contextlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from podcast_assets.common.errors import Misconfigured

log = logging.getLogger(__name__)


@contextlib.contextmanager
def file_lock(path: Path, waiting: str, *, mode: int = 0o600) -> Iterator[None]:
    """Hold a lock file while the block runs; other processes wait.

    Args:
        path: created with its folder if it does not exist, and not removed afterwards.
        waiting: message to log if another process holds the lock.
        mode: permissions of the file if it is created.

    Raises:
        OSError: the file cannot be created or locked.
        RuntimeError: this thread already holds the lock, and would wait for itself.
    """
    lock = _make_lock(path, mode)
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
def try_file_lock(path: Path, *, mode: int = 0o600) -> Iterator[bool]:
    """Try to hold a lock file while the block runs; yields whether it is held.

    Args:
        path: created with its folder if it does not exist.
        mode: permissions of the file if it is created.

    Raises:
        OSError: the file cannot be created or locked.
    """
    lock = _make_lock(path, mode)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
    else:
        try:
            yield True
        finally:
            lock.release()


def private_folder() -> Path:
    """Folder for this user's lock files on this machine, created if it does not exist. Nobody else can put links into it.

    Raises:
        Misconfigured: something else of that name is in the folder for temporary files.
    """
    folder = Path(tempfile.gettempdir()) / f"podcast-assets-locks-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise Misconfigured(f"{folder} is not a folder of this user: remove it, or set TMPDIR to another folder")
    if facts.st_mode & 0o077:  # earlier versions left it to the umask
        folder.chmod(0o700)
    return folder


def _make_lock(path: Path, mode: int) -> FileLock:
    return FileLock(
        path,
        mode=mode,
        # a context manager may be left in another thread than it was entered in
        thread_local=False,
        # a soft lock, for file systems without flock, would outlive a holder that is killed
        fallback_to_soft=False,
    )
