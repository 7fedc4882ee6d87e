"""Settings of glibc's malloc that keep freed memory for reuse."""

import ctypes
import sys

_ALL = 2**31 - 1
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": str(_ALL), "MALLOC_MMAP_THRESHOLD_": str(_ALL), "MALLOC_ARENA_MAX": "1"}
"""The same for processes that are started."""


def keep_freed_memory() -> None:
    """Make malloc keep freed memory, in one arena, for the rest of this process. Nothing happens without glibc.

    A Whisper encoder on a CPU takes and frees hundreds of megabytes for each layer. By default each of them is mapped and
    cleared anew: with a batch of 8 windows that is 60 % of its time (`benchmarks/transcription.py`). To be called before there
    are threads, which would have arenas of their own; the most memory that is used does not change.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in ((_TRIM_THRESHOLD, _ALL), (_MMAP_THRESHOLD, _ALL), (_ARENA_MAX, 1)):
            libc.mallopt(option, value)
