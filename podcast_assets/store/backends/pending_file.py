"""Files that remember write errors."""

import io
from typing import Any

_BUFFER_BYTES = 1 << 20
"""Encoders write some kilobytes at a time; Python's own buffer of 8 KiB would pass each on by a system call."""


class PendingFile(io.BufferedRandom):
    """A file that remembers write errors, because libsndfile ignores exceptions of its write callback."""

    trouble: OSError | None = None

    def __init__(self, raw: io.RawIOBase) -> None:
        """Create the file over an unbuffered one that can be read and written."""
        super().__init__(raw, _BUFFER_BYTES)

    def write(self, data: Any, /) -> int:
        """Write data and remember any error."""
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = error
            raise

    def settle(self) -> None:
        """Flush the file, and raise an earlier write error if there was one.

        Raises:
            OSError: this or an earlier write failed.
        """
        if self.trouble is not None:
            raise self.trouble
        self.flush()

    def __exit__(self, *raised: Any) -> None:
        """Close the file. If the block raised after a failed write, raise the write error instead."""
        try:
            super().__exit__(*raised)
        finally:
            if self.trouble is not None and raised[0] is not None:
                raise self.trouble  # later errors, such as a failed assertion about the file, follow from it
