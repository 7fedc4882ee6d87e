"""Locks on devices, so that each is used by one worker at a time."""

import contextlib
import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import IO

from podcast_assets.common.locks import private_folder
from podcast_assets.engines.gpus import physical_index

DEVICE_ERRORS = 3
"""Device errors of episodes in a row after which a worker stops, so that a broken GPU does not fail a whole batch."""

log = logging.getLogger(__name__)


class BrokenDevice(RuntimeError):
    """Several episodes in a row failed as if the device were broken."""


@contextlib.contextmanager
def hold_device(devices: Sequence[str], *, share: bool = False) -> Iterator[str | None]:
    """Lock the first free one of some devices ("cuda:0", "cuda:1") and yield its name; None where none is needed.

    A pool of Dagster only counts runs: two runs, or one outside the queue, could still share a GPU by accident. The lock is an
    flock, which the kernel frees when its holder dies. Waits while all devices are locked. (The library filelock, which the other
    locks use, has no flock that several processes share.)

    Args:
        devices: names of the devices, any of which will do.
        share: share the device with other workers that do so too; Ray counts how many of them a GPU takes.
    """
    if not devices:
        yield None
        return
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_open_lock(device)) for device in devices]
        waiting = False
        while (index := _lock_first_free(files, fcntl.LOCK_SH if share else fcntl.LOCK_EX)) is None:
            if not waiting:
                log.info("waiting for one of the devices %s, which other processes hold", ", ".join(devices))
                waiting = True
            time.sleep(1)
        yield devices[index]


def _lock_first_free(files: Sequence[IO[str]], kind: int) -> int | None:
    """Lock one of the files, and return its index; None where all are locked."""
    for index, file in enumerate(files):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return index
    return None


def _open_lock(device: str) -> IO[str]:
    """Open the lock file of a physical device; no link is followed."""
    kind, _, number = device.partition(":")
    name = physical_index(number) if kind == "cuda" else number
    path = private_folder() / f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}.lock"
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "a")
