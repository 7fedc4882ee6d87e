"""A file as its decoder should see it: some of its bytes left out, and some numbers of its header replaced."""

import bisect
import itertools
from collections.abc import Mapping, Sequence
from typing import BinaryIO

Range = tuple[int, int]
"""Bytes from the first number up to the second."""


class ByteView:
    """Read-only, seekable view of ranges of a file as one file.

    Args:
        file: the file; its position is changed.
        ranges: the bytes that are seen, in order and not overlapping.
        patches: position in the file → bytes that are seen there instead.
    """

    def __init__(self, file: BinaryIO, ranges: Sequence[Range], patches: Mapping[int, bytes] | None = None) -> None:
        self._file = file
        self._ranges = [(start, stop) for start, stop in ranges if stop > start]
        self._starts = [0, *itertools.accumulate(stop - start for start, stop in self._ranges)]
        self._patches = dict(patches or {})
        self._position = 0
        self.size = self._starts[-1]
        """Number of bytes."""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; all that remain if it is negative."""
        if size < 0:
            size = max(0, self.size - self._position)
        pieces = []
        while size > 0 and self._position < self.size:
            number = bisect.bisect_right(self._starts, self._position) - 1
            start, stop = self._ranges[number]
            at = start + self._position - self._starts[number]
            self._file.seek(at)
            piece = self._file.read(min(size, stop - at))
            if not piece:
                break
            pieces.append(self._patched(piece, at))
            self._position += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _patched(self, piece: bytes, at: int) -> bytes:
        for position, new in self._patches.items():
            first, last = max(position, at), min(position + len(new), at + len(piece))
            if first < last:
                piece = piece[: first - at] + new[first - position : last - position] + piece[last - at :]
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        """Change the position, as `io.IOBase.seek`."""
        position = offset + (0, self._position, self.size)[whence]
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._position
