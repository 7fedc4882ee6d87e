"""Which batches are not done, as the store tells it: never begun or cut off, or with failures that may pass."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS, FAILURES
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store, failures_key

_READERS = 16
"""Files read at once: over a network each takes tens of milliseconds, in which nothing else happens."""


def missing(store: Store, batches: Iterable[str]) -> list[str]:
    """Those of the batches that lack a committed table, in their order: to materialize them is to resume them."""
    committed = [_names(store, f"tables/{asset}") for asset in ASSETS]
    return [batch for batch in batches if not all(batch in names for names in committed)]


def with_passing_failures(store: Store, batches: Iterable[str], *, attempts: int | None = None) -> list[str]:
    """Those of the batches that have a committed failure which is not permanent, in their order.

    Args:
        store: with the failures.
        batches: to look at.
        attempts: leave out episodes that were tried so often; None leaves out none.
    """
    wanted = list(batches)
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda batch: any(_may_pass(store, asset, batch, attempts) for asset in ASSETS), wanted)
        return [batch for batch, passing in zip(wanted, found, strict=True) if passing]


def _may_pass(store: Store, asset: str, batch: str, attempts: int | None) -> bool:
    listed = store.read_table(failures_key(STAGES[asset], batch), FAILURES)
    if listed is None or listed.filter(~listed["permanent"]).is_empty():
        return False
    # the small file comes first: it may be of a commit that never came, and only the table knows
    failures = CommittedTable.read(store, asset, batch).failures
    passing = failures.filter(~failures["permanent"])
    return not (passing if attempts is None else passing.filter(passing["attempts"] < attempts)).is_empty()


def _names(store: Store, folder: str) -> set[str]:
    return {name.removesuffix(".parquet") for name in store.names(folder)}
