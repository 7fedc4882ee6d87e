"""What the interface asks of the pipeline, which is above this room: whoever starts the application gives it (`cli.pipeline`)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Pipeline(Protocol):
    """Batches, failures and statistics of a store, and retries."""

    def batches(self, names: Sequence[str] | None, limit: int) -> Sequence[Mapping[str, Any]]:
        """List batches, newest first.

        Args:
            names: these alone, of which unknown ones are left out; None for all.
            limit: most rows.
        """
        ...

    def episodes(self, batch: str) -> Sequence[Mapping[str, Any]]:
        """List the episodes of a batch; empty for one that is not known or not ingested."""
        ...

    def failures(self, batch: str | None, stage: str | None) -> Sequence[Mapping[str, Any]]:
        """List failures, of all batches where `batch` is None."""
        ...

    def statistics(self, by: str | None) -> Mapping[str, Any]:
        """Return statistics as JSON values; `by` is one of `groups`."""
        ...

    @property
    def groups(self) -> Sequence[str]:
        """What statistics can be grouped by."""
        ...

    def retry(self, batches: Sequence[str]) -> str:
        """Request that batches are run again, and return the id of the request.

        Raises:
            Misconfigured: there is no Dagster instance to ask.
            BadInput: nothing can be retried now; the message says why.
        """
        ...
