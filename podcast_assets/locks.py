"""Locks between processes of one machine."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)


@contextlib.contextmanager
def held(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file while the block runs; others wait. An flock: the kernel frees it when its holder dies.

    Args:
        path: made where it is not there, with its folder.
        waiting: logged where somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        _take(file, waiting)
        yield


@contextlib.contextmanager
def held_and_removed(path: Path, waiting: str) -> Iterator[None]:
    """As `held`, of a lock file that is not to lie about: it goes with the block, unless its holder is killed.

    Args:
        path: made where it is not there, with its folder.
        waiting: logged where somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held_now = False
    while not held_now:
        with path.open("a") as file:
            _take(file, waiting)
            if held_now := _is_at(file, path):  # else whoever held it has removed it, and others hold another one
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)


def _take(file: IO[str], waiting: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.info("%s", waiting)
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: IO[str], path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


@contextlib.contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold a lock file while the block runs, if nobody else does; gives whether it is held.

    Args:
        path: made where it is not there, with its folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
