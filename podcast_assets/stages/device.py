"""The device that a worker computes on: held by one worker at a time, and known to be broken when it is."""

import contextlib
import fcntl
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
def device_lock(device: str | None) -> Iterator[None]:
    """Hold a device ("cuda:0") while the block runs; None needs no lock.

    A pool of Dagster only counts runs: two runs, or one outside the queue, could still share a GPU by accident. The lock is an
    flock, so the kernel frees it when its holder dies, however it dies.
    """
    if device is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"podcast-assets-{re.sub(r'[^a-z0-9]+', '-', device.lower())}.lock"
    with path.open("a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
