"""SHA-256 and MD5 of bytes in one pass, and of files."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

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


def cached_sha256(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal; computed once per process until the file's size or modification time changes."""
    stat = file.stat()
    return _sha256(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
