"""SHA-256 and MD5 of bytes in one pass."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

_md5_threads = ThreadPoolExecutor(8, thread_name_prefix="md5")
"""MD5 runs in a thread of its own: hashlib releases the GIL, and MD5 is slower than SHA-256 with hardware support."""


class Hashes:
    """SHA-256 and MD5 of a stream of blocks, computed in two threads."""

    def __init__(self) -> None:
        self._sha, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self._running: Future[None] | None = None
        self.size = 0
        """Number of bytes hashed so far."""

    def update(self, block: bytes) -> None:
        """Hash the next bytes, which must not change until the next call."""
        self._wait()
        self._running = _md5_threads.submit(self._md5.update, block)
        self._sha.update(block)
        self.size += len(block)

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of all blocks."""
        return self._sha.hexdigest()

    @property
    def md5(self) -> str:
        """Hexadecimal digest of all blocks."""
        self._wait()
        return self._md5.hexdigest()

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()
            self._running = None
