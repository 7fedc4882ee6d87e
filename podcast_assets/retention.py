"""Which sources under `incoming/` are no longer needed, and their removal, where people ask for it.

A source goes only when all that came of its batch is committed, for long enough, as it lies there now, and with nothing left to try
again: whatever is doubtful stays.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from podcast_assets.intake.arrivals import DEFAULTS, INCOMING, READY, Arrival, IncomingFile, list_incoming, modified
from podcast_assets.intake.place import MANIFEST
from podcast_assets.schema import ASSETS
from podcast_assets.stages.results import Committed
from podcast_assets.store import Store, table_key


@dataclass(frozen=True)
class Removed:
    """The source of a batch that was removed."""

    batch: str
    files: int
    bytes: int


def why_kept(store: Store, arrival: Arrival, known: str | None, *, before: float) -> str | None:
    """Why the source of a batch has to stay; None where it may go.

    Args:
        store: with its tables.
        arrival: what lies there now.
        known: signature of what was materialized last; None where nothing is known.
        before: all tables must have been committed before this time, POSIX seconds.
    """
    if known != arrival.signature:
        return "it is not what was materialized last"
    for asset in ASSETS:
        path = store.path(table_key(asset, arrival.batch))
        if not path.exists():
            return f"{asset} is not committed"
        if modified(path.fs.info(path.path)) >= before:
            return f"{asset} was committed too recently"
        committed = Committed.read(store, asset, arrival.batch)
        if committed.damage or committed.table is None:
            return f"{asset} cannot be read"
        if not committed.failures.filter(~pl.col("permanent")).is_empty():
            return f"{asset} has failures that may pass"
        if asset == "raw_audio":
            lost = committed.table.filter((pl.col("status") == "failed") & pl.col("original").is_null())
            if not lost.is_empty():
                return f"{lost['source'][0]} could not be taken out of it"
    return None


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
    removed = []
    for batch, arrival in list_incoming(store).arrivals.items():
        if batch in busy or batch not in known:
            continue
        with store.batch_lock_if_free(batch) as ours:
            if not ours or why_kept(store, arrival, known[batch], before=before):
                continue
            files = (*arrival.files, *arrival.metadata)
            if not all(_as_listed(store, file) for file in files):
                continue
            for file in files:
                store.remove(f"{INCOMING}/{file.key}")
            if arrival.is_folder:
                for name in (MANIFEST, DEFAULTS, *READY):
                    store.remove(f"{INCOMING}/{arrival.files[0].key.split('/')[0]}/{name}")
            removed.append(Removed(batch, len(files), sum(f.bytes for f in files)))
    return removed


def _as_listed(store: Store, file: IncomingFile) -> bool:
    """Whether a file is still the one that was listed: the listing of a large store takes its time."""
    path = store.path(f"{INCOMING}/{file.key}")
    try:
        info = path.fs.info(path.path)
    except FileNotFoundError:
        return False
    return (int(info["size"]), modified(info)) == (file.bytes, file.modified)
