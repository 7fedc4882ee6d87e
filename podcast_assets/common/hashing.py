"""SHA-256 and MD5 of bytes in one pass, side by side."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

_beside = ThreadPoolExecutor(8, thread_name_prefix="md5")
"""Both hashes let go of the interpreter's lock; MD5 is the slower one wherever the processor knows SHA-256."""


class Hashes:
    """SHA-256 and MD5 of a stream of blocks; large blocks are hashed in two threads."""

    def __init__(self) -> None:
        self._sha, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self._running: Future[None] | None = None
        self.size = 0
        """Bytes so far."""

    def update(self, block: bytes) -> None:
        """Add the next bytes, which must not change until the next call."""
        self._wait()
        self._running = _beside.submit(self._md5.update, block)
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
