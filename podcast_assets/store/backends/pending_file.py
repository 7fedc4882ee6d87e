"""Files being written, with their write errors kept for later."""

import io
from typing import Any


class PendingFile(io.BufferedRandom):
    """A file that keeps write errors: libsndfile, whose callback it is, goes on as if nothing had been."""

    trouble: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write data, and keep any error."""
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = error
            raise

    def settle(self) -> None:
        """Flush and sync the file, and raise any kept error.

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
