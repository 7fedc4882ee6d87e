"""Limits on what an archive may unpack to, checked while it is read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from podcast_assets.common.errors import BadInput

FREE_BYTES = 256 << 20
"""What an archive may unpack to in any case: a table of text alone may shrink to a five-hundredth."""
_HEADER_BYTES = 1 << 20
"""Between two members of a tar: headers, with what is read ahead."""


class Damaged(BadInput):
    """An archive, or a member of it, is truncated, broken, or packed in a way that cannot be read."""


class Bomb(Damaged):
    """An archive unpacks to more than it may."""


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits on what an archive may unpack to. An archive inside an archive counts to the one that it is in."""

    files: int = 100_000
    """Entries, folders included."""
    ratio: float = 200.0
    """Times its own size, beyond FREE_BYTES."""
    depth: int = 2
    """Archives inside one another, itself included."""


GENEROUS = ArchiveLimits()
"""What no archive of recordings comes near."""


class Meter:
    """Counter of the bytes and entries that an archive unpacks to."""

    def __init__(self, limits: ArchiveLimits, size: int) -> None:
        """Nothing is counted yet.

        Args:
            limits: to keep to.
            size: of the archive, bytes.
        """
        self.limits = limits
        self._left = FREE_BYTES + int(limits.ratio * size)
        self._entries = 0

    def add(self, count: int) -> None:
        """Count more bytes.

        Raises:
            Bomb: they are too many.
        """
        self._left -= count
        if self._left < 0:
            raise Bomb(
                f"it unpacks to more than {self.limits.ratio:g} times its size, and stops there; if that is right, raise "
                "PODCAST_ARCHIVE_RATIO"
            )

    def entry(self) -> None:
        """Count one more entry.

        Raises:
            Bomb: they are too many.
        """
        self._entries += 1
        if self._entries > self.limits.files:
            raise Bomb(
                f"it has more than {self.limits.files:,} entries, and only those were looked at; if that is right, raise "
                "PODCAST_ARCHIVE_FILES"
            )


class Metered:
    """A stream whose bytes are counted. Where only headers are expected, they may not be without end."""

    def __init__(self, stream: IO[bytes], meter: Meter) -> None:
        self._stream, self._meter = stream, meter
        self._allowed: int | None = _HEADER_BYTES

    def read(self, count: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._stream.read(count)
        self._meter.add(len(data))
        if self._allowed is not None:
            self._allowed -= len(data)
            if self._allowed < 0:
                raise Damaged(f"more than {_HEADER_BYTES >> 20} MiB of headers, or of zeros, between two members")
        return data

    @contextlib.contextmanager
    def only_headers(self, skipped: int) -> Iterator[None]:
        """Allow no more than some headers, beyond bytes that are skipped."""
        self._allowed = skipped + _HEADER_BYTES
        yield
        self._allowed = None
