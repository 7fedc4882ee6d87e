"""Tuning of glibc's malloc: keep freed memory for reuse."""

import ctypes
import sys

_ALL = 2**31 - 1
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": str(_ALL), "MALLOC_MMAP_THRESHOLD_": str(_ALL), "MALLOC_ARENA_MAX": "1"}
"""Environment variables with the same effect on child processes."""


def keep_freed_memory() -> None:
    """Make malloc keep freed memory, in one arena, for the rest of this process. Does nothing without glibc.

    A Whisper encoder on a CPU allocates and frees hundreds of megabytes per layer. By default the kernel maps and clears them
    every time, which takes 60 % of the time with a minibatch of 8 windows (`benchmarks/transcription.py`). Peak memory does not
    change. Call it before threads start, because each would get an arena of its own.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for option, value in ((_TRIM_THRESHOLD, _ALL), (_MMAP_THRESHOLD, _ALL), (_ARENA_MAX, 1)):
            libc.mallopt(option, value)
