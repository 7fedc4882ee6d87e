"""A limit on the memory that a block of code may take, for untrusted input that is read in this process."""

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

_STATM = Path("/proc/self/statm")
"""Its first number is the size of the address space in pages (proc(5))."""
_lock = threading.Lock()


@contextlib.contextmanager
def limited_memory(size: int) -> Iterator[None]:
    """Let this process take only so much more address space while the block runs; one block runs at a time.

    What needs more raises MemoryError, or the error that its library has for it. Systems without `/proc` have no limit.

    Args:
        size: bytes.
    """
    with _lock:
        before = resource.getrlimit(resource.RLIMIT_AS)
        try:
            used = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        except OSError:
            used = None
        if used is not None and before[0] in (resource.RLIM_INFINITY, -1):
            resource.setrlimit(resource.RLIMIT_AS, (used + size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
