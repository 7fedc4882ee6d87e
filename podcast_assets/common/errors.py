"""The kinds of trouble that are told apart, and what errors of other libraries mean."""

import errno
import re


class BadInput(ValueError):
    """The data itself is at fault: trying again cannot help. The message is one line for the person who owns the data."""


class StoreTrouble(OSError):
    """The store takes nothing more. The message is one line that says why, and what to do about it."""

    def __str__(self) -> str:
        return str(self.strerror)


class ClusterLost(RuntimeError):
    """The head of the Ray cluster is gone: nothing can be placed or found any more."""


class Misconfigured(RuntimeError):
    """Something that a person set cannot work; the message says what to set instead."""


class EngineUnavailable(RuntimeError):
    """An engine cannot be loaded here; the message says what to install or to set."""


_DEVICE_ERROR = re.compile(
    r"\bcuda|cublas|cudnn|\bnvml|device-side assert|illegal memory access|no kernel image", re.IGNORECASE
)
_OUT_OF_MEMORY = re.compile(r"out of memory|failed to allocate memory|can't allocate memory|bad_alloc", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of a GPU or the machine, ran out: a smaller batch may help."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}") is not None


def is_device_error(error: BaseException) -> bool:
    """Whether an error speaks of the device and not of the episode. Out of memory is the episode's: it says nothing of the next."""
    return _DEVICE_ERROR.search(f"{type(error).__name__}: {error}") is not None and not is_out_of_memory(error)


STORE_TROUBLES = {
    errno.ENOSPC: ("is full", "free some space"),
    errno.EDQUOT: ("is full: its quota is used up", "free some space"),
    errno.EROFS: ("is read-only", "make it writable"),
}
"""Error number → what is wrong with the store, and what to do about it."""


def is_store_trouble(error: BaseException) -> bool:
    """Whether an error says that the store is full or read-only: nothing else can be done then either."""
    return isinstance(error, StoreTrouble) or (isinstance(error, OSError) and error.errno in STORE_TROUBLES)
