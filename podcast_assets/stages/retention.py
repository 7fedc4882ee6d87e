"""Removal of sources under `incoming/` that are no longer needed, where the settings ask for it.

A source is removed only if everything made from its current content has been committed for long enough, with no failure left to
retry. In doubt it stays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from podcast_assets.intake.arrivals import DEFAULTS, INCOMING, READY, Arrival, list_incoming
from podcast_assets.intake.place import MANIFEST
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import Store, table_key


@dataclass(frozen=True)
class RemovedSource:
    """The removed source of a batch."""

    batch: str
    files: int
    bytes: int


def reason_to_keep(
    store: Store, arrival: Arrival, materialized: str | None, committed_at: Mapping[str, float], *, before: float
) -> str | None:
    """Why the source of a batch must stay; None if it can be removed.

    Args:
        store: store of the batch.
        arrival: the source as it is under `incoming/` now.
        materialized: signature of the source that was materialized last; None if unknown.
        committed_at: key of a table → when it was written, POSIX seconds.
        before: all tables must have been committed before this time, POSIX seconds.
    """
    if materialized != arrival.signature:
        return "it differs from what was materialized last"
    keys = {asset: table_key(asset, arrival.batch) for asset in ASSETS}
    for asset, key in keys.items():
        if key not in committed_at:
            return f"{asset} is not committed"
        if committed_at[key] >= before:
            return f"{asset} was committed too recently"
    for asset in keys:
        committed = CommittedTable.read(store, asset, arrival.batch)
        if committed.damage or committed.table is None:
            return f"{asset} cannot be read"
        if not committed.failures.filter(~pl.col("permanent")).is_empty():
            return f"{asset} has failures that can be retried"
        if asset == "raw_audio":
            lost = committed.table.filter((pl.col("status") == "failed") & pl.col("original").is_null())
            if not lost.is_empty():
                return f"{lost['source'][0]} could not be extracted from it"
    return None


def commit_times(store: Store) -> dict[str, float]:
    """Key of each table → when it was written, POSIX seconds."""
    return {entry.key: entry.modified for asset in ASSETS for entry in store.list(f"tables/{asset}")}


def remove_sources(
    store: Store, materialized: Mapping[str, str], *, before: float, busy: Collection[str] = ()
) -> list[RemovedSource]:
    """Remove the sources of batches that were committed before a time.

    Args:
        store: store of the batches.
        materialized: batch → signature of the source that was materialized last.
        before: POSIX seconds.
        busy: batches in queued or active runs.
    """
    times = commit_times(store)
    removable = [
        batch
        for batch, arrival in list_incoming(store).arrivals.items()
        if batch not in busy and not reason_to_keep(store, arrival, materialized.get(batch), times, before=before)
    ]
    removed = []
    current = list_incoming(store).arrivals if removable else {}  # reading the tables took time
    for batch in removable:
        with store.batch_lock_if_free(batch) as locked:
            arrival = current.get(batch)
            if not locked or arrival is None or arrival.signature != materialized[batch]:
                continue
            files = (*arrival.files, *arrival.metadata)
            for file in files:
                store.remove(f"{INCOMING}/{file.key}")
            if arrival.is_folder:
                for name in (MANIFEST, DEFAULTS, *READY):
                    store.remove(f"{INCOMING}/{arrival.files[0].key.split('/')[0]}/{name}")
            removed.append(RemovedSource(batch, len(files), sum(f.bytes for f in files)))
    return removed
