"""Error types of the project, and classification of other libraries' errors."""

import errno
import re

from podcast_assets.common.redaction import redact_text


class BadInput(ValueError):
    """The input data are invalid; a retry cannot help. The message is one line for the person who owns the data."""


class StoreTrouble(OSError):
    """The store is full, read-only or not accessible. The message is one line that says why, and what to do about it."""

    def __str__(self) -> str:
        return str(self.strerror)


class ClusterLost(RuntimeError):
    """The head of the Ray cluster is lost; no work can be scheduled."""


class Misconfigured(RuntimeError):
    """A setting is invalid; the message says what to set instead."""


class EngineUnavailable(RuntimeError):
    """An engine cannot be loaded here; the message says what to install or to set."""


def first_line(error: BaseException) -> str:
    """First line of an error's message without the secrets in it, or the error's type if it has none."""
    return redact_text((str(error).strip() or type(error).__name__).splitlines()[0])


_DEVICE_ERROR = re.compile(
    r"\bcuda|cublas|cudnn|\bnvml|device-side assert|illegal memory access|no kernel image", re.IGNORECASE
)
_OUT_OF_MEMORY = re.compile(r"out of memory|failed to allocate memory|can't allocate memory|bad_alloc", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that GPU or machine memory ran out, so that a smaller minibatch may help."""
    return isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(f"{type(error).__name__}: {error}") is not None


def is_device_error(error: BaseException) -> bool:
    """Whether an error concerns the device and not the episode. Out of memory does not: the next episode may be shorter."""
    return _DEVICE_ERROR.search(f"{type(error).__name__}: {error}") is not None and not is_out_of_memory(error)


STORE_TROUBLES = {
    errno.ENOSPC: ("is full", "free some space"),
    errno.EDQUOT: ("is full: its quota is used up", "free some space"),
    errno.EROFS: ("is read-only", "make it writable"),
}
"""Error number → what is wrong with the store, and what to do."""


def is_store_trouble(error: BaseException) -> bool:
    """Whether an error means that the store is full or read-only."""
    return isinstance(error, StoreTrouble) or (isinstance(error, OSError) and error.errno in STORE_TROUBLES)
