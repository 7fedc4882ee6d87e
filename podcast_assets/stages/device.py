"""The device that a worker computes on: held by one worker at a time, and known to be broken when it is."""

import contextlib
import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_DEVICE_ERROR = re.compile(
    r"\bcuda|cublas|cudnn|\bnvml|device-side assert|illegal memory access|no kernel image", re.IGNORECASE
)


class BrokenDevice(RuntimeError):
    """Several episodes in a row failed as if the device were broken."""


def looks_like_device_error(error: BaseException) -> bool:
    """Whether an error speaks of the device and not of the episode. Out of memory is the episode's: it says nothing of the next."""
    text = f"{type(error).__name__}: {error}"
    return _DEVICE_ERROR.search(text) is not None and "out of memory" not in text.lower()


@contextlib.contextmanager
def hold_device(devices: Sequence[str]) -> Iterator[str | None]:
    """Hold the first of some devices ("cuda:0", "cuda:1") that nobody else holds, and give its name; None where none is needed.

    A pool of Dagster only counts runs: two runs, or one outside the queue, could still share a GPU by accident. The lock is an
    flock, so the kernel frees it when its holder dies, however it dies. While all are held, it waits.
    """
    if not devices:
        yield None
        return
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_lock_path(device).open("a")) for device in devices]
        waiting = False
        while (index := _first_free(files)) is None:
            if not waiting:
                log.info("waiting for one of the devices %s, which other processes hold", ", ".join(devices))
                waiting = True
            time.sleep(1)
        yield devices[index]


def _first_free(files: Sequence[IO[str]]) -> int | None:
    for index, file in enumerate(files):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return index
    return None


def _lock_path(device: str) -> Path:
    """One file per physical device: CUDA_VISIBLE_DEVICES renumbers them for each process."""
    kind, _, number = device.partition(":")
    visible = [v.strip() for v in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if v.strip()]
    if kind == "cuda" and number.isdigit() and int(number) < len(visible):
        number = visible[int(number)]
    return Path(tempfile.gettempdir()) / f"podcast-assets-{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', number)}.lock"
