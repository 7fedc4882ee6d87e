"""The clearance of a whole store: every batch, the ledger, the takedowns and the settings, as they are now."""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from podcast_assets.dataset.clearance import clearance
from podcast_assets.dataset.licences import LicenceRules
from podcast_assets.dataset.takedown_records import records
from podcast_assets.errors import BadInput
from podcast_assets.intake import rights
from podcast_assets.intake.feeds.subscriptions import name_of, subscriptions
from podcast_assets.schema import RAW_AUDIO, schema
from podcast_assets.store import Store, table_key

_READERS = 16
"""Batches read at once: over a network each file takes tens of milliseconds, in which nothing else happens."""


def clearance_of(store: Store, batches: Iterable[str], licenses: str) -> pl.DataFrame:
    """What may be released of some batches, columns CLEARANCE.

    Args:
        store: with the batches, the rights ledger, the lists of feeds and the takedowns.
        batches: all that are considered; one is not published with another's copy in it, so give all that there are.
        licenses: as PODCAST_LICENSES.

    Raises:
        BadInput: a table, the ledger or a record cannot be read: nothing is released on a guess.
    """
    return clearance(episodes_of(store, batches), rights.ledger(store), records(store), rules_of(store, licenses))


def rules_of(store: Store, licenses: str) -> LicenceRules:
    """Which licences may be released, with the feeds whose publishers agreed (`take_blocked` in their list)."""
    agreed: dict[str, list[bool]] = defaultdict(list)
    for subscription in subscriptions(store).feeds.values():
        agreed[name_of(subscription)].append(subscription.take_blocked)
    # without their secrets several feeds may be called the same: none of them speaks for another
    return LicenceRules.of(licenses, (name for name, said in agreed.items() if all(said)))


def episodes_of(store: Store, batches: Iterable[str]) -> pl.DataFrame:
    """Rows of `raw_audio` of some batches, with their `batch`."""

    def read(batch: str) -> pl.DataFrame:
        found = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
        if found is None:
            raise BadInput(f"batch {batch}: raw_audio is not materialized (by this version); materialize it first")
        return found.select(pl.lit(batch).alias("batch"), pl.all())

    none = pl.DataFrame(schema={"batch": pl.String, **schema(RAW_AUDIO)})
    with ThreadPoolExecutor(_READERS) as readers:
        return pl.concat([none, *readers.map(read, batches)])
