"""Limits on what an archive may unpack to, checked while it is read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from podcast_assets.common.errors import BadInput

FREE_BYTES = 256 << 20
"""Size that every archive may unpack to: tables of text compress up to 500 times."""
_HEADER_BYTES = 1 << 20
"""Limit for headers between two members of a tar, including what is read ahead."""


class Damaged(BadInput):
    """An archive, or a member of it, is truncated, broken, or packed in a way that cannot be read."""


class Bomb(Damaged):
    """An archive unpacks to more than its limits allow."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits on what an archive may unpack to. Nested archives count towards the outermost one."""

    files: int = 100_000
    """Entries, folders included."""
    ratio: float = 200.0
    """Unpacked size over archive size, in addition to FREE_BYTES."""
    depth: int = 2
    """Levels of nested archives, including the outermost one."""


GENEROUS = ArchiveLimits()
"""Default limits, far above any real archive of recordings."""


class Meter:
    """Counter of the bytes and entries that an archive unpacks to."""

    def __init__(self, limits: ArchiveLimits, size: int) -> None:
        """Create a meter at zero.

        Args:
            limits: limits to enforce.
            size: size of the archive, bytes.
        """
        self.limits = limits
        self._left = FREE_BYTES + int(limits.ratio * size)
        self._entries = 0

    def add(self, count: int) -> None:
        """Count more bytes.

        Raises:
            Bomb: the limit is exceeded.
        """
        self._left -= count
        if self._left < 0:
            raise Bomb(
                f"it unpacks to more than {self.limits.ratio:g} times its size; to allow this, raise PODCAST_ARCHIVE_RATIO"
            )

    def entry(self) -> None:
        """Count one more entry.

        Raises:
            Bomb: the limit is exceeded.
        """
        self._entries += 1
        if self._entries > self.limits.files:
            raise Bomb(
                f"it has more than {self.limits.files:,} entries, and only those were read; to allow more, raise "
                "PODCAST_ARCHIVE_FILES"
            )


class Metered:
    """A stream whose bytes are counted, with a limit where only headers are expected."""

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream, self._meter = stream, meter
        self._allowed: int | None = _HEADER_BYTES

    def read(self, count: int = -1, /) -> bytes:
        """Read bytes."""
        data = self._stream.read(count)
        self._meter.add(len(data))
        if self._allowed is not None:
            self._allowed -= len(data)
            if self._allowed < 0:
                raise Damaged(f"more than {_HEADER_BYTES >> 20} MiB of headers, or of zeros, between two members")
        return data

    @contextlib.contextmanager
    def only_headers(self, skipped: int) -> Iterator[None]:
        """Limit reading to headers after skipped bytes, while the block runs."""
        self._allowed = skipped + _HEADER_BYTES
        yield
        self._allowed = None
