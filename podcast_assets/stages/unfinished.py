"""Unfinished batches, as the store shows them: without a committed table, or with failures that a retry may resolve."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.schema import ASSETS, FAILURES
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import STORE_READERS, Store, failures_key


def missing(store: Store, batches: Iterable[str]) -> list[str]:
    """Return the batches that lack a committed table, in their order. To materialize them is to resume them."""
    committed = [set(store.table_names(f"tables/{asset}")) for asset in ASSETS]
    return [batch for batch in batches if not all(batch in names for names in committed)]


def with_retryable_failures(store: Store, batches: Iterable[str], *, attempts: int | None = None) -> list[str]:
    """Return the batches that have a committed failure which is not permanent, in their order.

    Failures of discarded episodes do not count.

    Args:
        store: the store with the failures.
        batches: batches to look at.
        attempts: ignore episodes with this many attempts or more; None ignores none.
    """
    listed = list(batches)
    with ThreadPoolExecutor(STORE_READERS) as readers:
        found = readers.map(
            lambda batch: any(_has_retryable_failure(store, asset, batch, attempts) for asset in ASSETS), listed
        )
        return [batch for batch, retryable in zip(listed, found, strict=True) if retryable]


def _has_retryable_failure(store: Store, asset: str, batch: str, attempts: int | None) -> bool:
    listed = store.read_table(failures_key(STAGES[asset], batch), FAILURES)
    if listed is None or listed.filter(~listed["permanent"]).is_empty():
        return False
    # the failures' file is small and read first; it may belong to a commit that never came, which only the table shows
    failures = CommittedTable.read(store, asset, batch).failures
    discarded = list(read_batch_discards(store, batch))
    retryable = failures.filter(~pl.col("permanent"), ~pl.col("episode_id").is_in(discarded))
    return not (retryable if attempts is None else retryable.filter(retryable["attempts"] < attempts)).is_empty()
