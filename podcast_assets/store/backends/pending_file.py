"""A file under way: what it could not take is not forgotten."""

import io
from typing import Any


class PendingFile(io.BufferedRandom):
    """A file that remembers that a write failed: libsndfile, whose callback it is, goes on as if nothing had been."""

    trouble: OSError | None = None

    def write(self, data: Any, /) -> int:
        """As any file; an error is remembered too."""
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = error
            raise

    def settle(self) -> None:
        """Hand all of it to the system.

        Raises:
            OSError: a write failed, now or before.
        """
        if self.trouble is not None:
            raise self.trouble
        self.flush()

    def __exit__(self, *raised: Any) -> None:
        """Close it; where the block raised after a write had failed, that write is what is told."""
        try:
            super().__exit__(*raised)
        finally:
            if self.trouble is not None and raised[0] is not None:
                raise self.trouble  # what was raised since, such as an assertion about what was written, follows from it
