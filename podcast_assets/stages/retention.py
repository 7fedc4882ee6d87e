"""Which sources under `incoming/` are no longer needed, and their removal, where people ask for it.

A source goes only when all that came of its batch is committed, for long enough, as it lies there now, and with nothing left to try
again: whatever is doubtful stays.
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
class Removed:
    """The source of a batch that was removed."""

    batch: str
    files: int
    bytes: int


def why_kept(
    store: Store, arrival: Arrival, known: str | None, committed_at: Mapping[str, float], *, before: float
) -> str | None:
    """Why the source of a batch has to stay; None where it may go.

    Args:
        store: with its tables.
        arrival: what lies there now.
        known: signature of what was materialized last; None where nothing is known.
        committed_at: key of a table → when it was written, POSIX seconds.
        before: all tables must have been committed before this time, POSIX seconds.
    """
    if known != arrival.signature:
        return "it is not what was materialized last"
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
            return f"{asset} has failures that may pass"
        if asset == "raw_audio":
            lost = committed.table.filter((pl.col("status") == "failed") & pl.col("original").is_null())
            if not lost.is_empty():
                return f"{lost['source'][0]} could not be taken out of it"
    return None


def commit_times(store: Store) -> dict[str, float]:
    """Key of each table → when it was written, POSIX seconds."""
    return {entry.key: entry.modified for asset in ASSETS for entry in store.list(f"tables/{asset}")}


def remove_sources(
    store: Store, known: Mapping[str, str], *, before: float, busy: Collection[str] = ()
) -> list[Removed]:
    """Remove the sources of batches that were committed before a time.

    Args:
        store: where they lie.
        known: batch → signature of what was materialized last.
        before: POSIX seconds.
        busy: batches of runs that wait or go on.
    """
    times = commit_times(store)
    done = [
        batch
        for batch, arrival in list_incoming(store).arrivals.items()
        if batch not in busy and not why_kept(store, arrival, known.get(batch), times, before=before)
    ]
    removed = []
    there = list_incoming(store).arrivals if done else {}  # to look at the tables took its time
    for batch in done:
        with store.batch_lock_if_free(batch) as ours:
            arrival = there.get(batch)
            if not ours or arrival is None or arrival.signature != known[batch]:
                continue
            files = (*arrival.files, *arrival.metadata)
            for file in files:
                store.remove(f"{INCOMING}/{file.key}")
            if arrival.is_folder:
                for name in (MANIFEST, DEFAULTS, *READY):
                    store.remove(f"{INCOMING}/{arrival.files[0].key.split('/')[0]}/{name}")
            removed.append(Removed(batch, len(files), sum(f.bytes for f in files)))
    return removed
