"""Partial downloads, kept between runs so that the next run resumes them."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from filelock import lock_descriptor

from podcast_assets.common.errors import BadInput
from podcast_assets.common.scratch import SCRATCH_PREFIX


@dataclass(frozen=True)
class FileVersion:
    """Version of the remote file (ETag and Last-Modified)."""

    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None
    """Size in bytes, if the server declared it."""
    content_type: str | None = None
    url: str | None = None
    """URL after all redirects, redacted."""

    @property
    def condition(self) -> str | None:
        """Value of If-Range. A weak ETag must not be used to resume (RFC 9110, 13.1.5)."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified


class PartialDownload:
    """A partial download in one file, locked while open: a JSON line with the version, then the bytes."""

    def __init__(self, folder: Path, key: str) -> None:
        """Partial download of a key, created on entry if it does not exist.

        Args:
            folder: folder of the partial file.
            key: 32 hexadecimal digits, by which the janitor recognizes the file.
        """
        self.path = folder / f"{SCRATCH_PREFIX}{key}.part"
        self.version = FileVersion()
        self._start = 0

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b", opener=_open_private)
        lock_descriptor(self._file.fileno())
        self._file.seek(0)
        try:
            line = self._file.readline()
            self.version = FileVersion(**json.loads(line)) if line.endswith(b"\n") else FileVersion()
            self._start = len(line) if line.endswith(b"\n") else 0
        except (ValueError, TypeError):
            self._start = 0
        if not self._start:
            self.begin(FileVersion())
        self._file.seek(0, 2)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BadInput) or (error is not None and not self.size):
            self.remove()
        self._file.close()

    @property
    def size(self) -> int:
        """Number of bytes downloaded so far."""
        return self._file.seek(0, 2) - self._start

    def begin(self, version: FileVersion) -> None:
        """Discard what was received and start over with a version."""
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(json.dumps(asdict(version)).encode() + b"\n")
        self._file.flush()
        self.version, self._start = version, self._file.tell()

    def write(self, block: bytes) -> None:
        """Append bytes."""  # append mode: reading does not change the write position
        self._file.write(block)

    def head(self, size: int) -> bytes:
        """Read the first bytes."""
        self._file.flush()
        self._file.seek(self._start)
        return self._file.read(size)

    def content(self) -> BinaryIO:
        """Return a stream over all bytes."""
        self._file.flush()
        self._file.seek(self._start)
        return self._file  # type: ignore[return-value]  # a BufferedRandom reads and writes

    def remove(self) -> None:
        """Remove the partial file."""
        self.path.unlink(missing_ok=True)


def _open_private(path: str, flags: int) -> int:
    """Open a file that only this user may read, not following a link: the folder may be the one for temporary files."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
