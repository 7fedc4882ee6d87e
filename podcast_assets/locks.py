"""Locks between processes of one machine."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path

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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s", waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
