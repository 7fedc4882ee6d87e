"""What a store has sealed, and what of it may be released: read once for a release."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import polars as pl

from podcast_assets.dataset.cleared import clearance_of, episodes_of
from podcast_assets.dataset.plan import Wanted
from podcast_assets.dataset.selection import Publish, SealedPart, indexed, sealed_parts, select, wanted_parts
from podcast_assets.dataset.tables import batch_pipeline
from podcast_assets.dataset.takedown_records import records
from podcast_assets.schema import EPISODE_SHARDS, HF_SHARDS, PROVENANCE, TABLE_STAGES, Columns, empty
from podcast_assets.store import Store, provenance_key, table_key

log = logging.getLogger(__name__)

_READERS = 16
"""Tables read at once: over a network each takes tens of milliseconds, in which nothing else happens."""


@dataclass(frozen=True)
class Holdings:
    """The sealed samples of a store, with what is selected of them."""

    segments: pl.DataFrame
    """Rows of HF_SHARDS of all batches, as `selection.select` gives them."""
    whole: pl.DataFrame
    """Rows of EPISODE_SHARDS alike."""
    episodes: pl.DataFrame
    """Rows of `raw_audio` with their `batch`."""
    clearance: pl.DataFrame
    batches: frozenset[str]
    """Of which this tells all."""
    takedowns: frozenset[str]
    """Ids of the records that were taken into account."""

    def wanted(self) -> list[Wanted]:
        """The parts that are to be published."""
        return wanted_parts(self.segments) + wanted_parts(self.whole)

    def hours(self) -> dict[tuple[str, str], float]:
        """(batch, part) → hours of its selected members."""
        found: dict[tuple[str, str], float] = {}
        for rows in (self.segments, self.whole):
            sums = rows.filter("selected").group_by("batch", "part").agg(pl.col("duration").sum() / 3600)
            found |= {(str(batch), str(part)): float(hours) for batch, part, hours in sums.iter_rows()}
        return found

    def parts(self) -> dict[tuple[str, str], SealedPart]:
        """(batch, part) → where its bytes lie."""
        return sealed_parts(self.segments) | sealed_parts(self.whole)


def holdings(store: Store, publish: Publish, licenses: str) -> Holdings:
    """What is sealed in a store, and what of it may be released.

    Raises:
        BadInput: a table cannot be read: nothing is released, and nothing is taken out, on a guess.
    """
    takedowns = takedown_ids(store)  # first: one that comes while tables are read is seen to be new before the commit
    batches, tables = _tables(store, "hf_shards", HF_SHARDS)
    _, whole = _tables(store, "episode_shards", EPISODE_SHARDS, only=batches)
    clearance = clearance_of(store, batches, licenses)
    return Holdings(
        select(tables, clearance, publish),
        select(whole, clearance, publish),
        episodes_of(store, batches),
        clearance,
        frozenset(batches),
        takedowns,
    )


def sealed_now(store: Store, batch: str, shard: str, sha256: str) -> bool:
    """Whether a batch's tables still speak of a sealed shard: another run may have sealed it anew meanwhile."""
    for asset, columns in (("hf_shards", HF_SHARDS), ("episode_shards", EPISODE_SHARDS)):
        table = store.read_table(table_key(asset, batch), columns)
        if table is not None and table.filter(shard=shard, shard_sha256=sha256).height:
            return True
    return False


def takedown_ids(store: Store) -> frozenset[str]:
    """Ids of the takedowns on record."""
    return frozenset(records(store)["takedown"].to_list())


def pipelines(store: Store, batches: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Batch → what made it, by stage."""

    def read(batch: str) -> dict[str, Any]:
        found = {stage: store.read_table(provenance_key(stage, batch), PROVENANCE) for stage in TABLE_STAGES.values()}
        return batch_pipeline({stage: table for stage, table in found.items() if table is not None})

    with ThreadPoolExecutor(_READERS) as readers:
        return dict(zip(batches, readers.map(read, batches), strict=True))


def _tables(
    store: Store, asset: str, columns: Columns, only: Sequence[str] | None = None
) -> tuple[list[str], pl.DataFrame]:
    """Batches with a table of an asset, and the rows of all of them, as `indexed` gives them."""
    names = store.names(f"tables/{asset}")
    there = sorted(n.removesuffix(".parquet") for n in names if n.endswith(".parquet") and not n.startswith("."))
    batches = [b for b in there if only is None or b in only]
    with ThreadPoolExecutor(_READERS) as readers:
        found = dict(
            zip(batches, readers.map(lambda b: store.read_table(table_key(asset, b), columns), batches), strict=True)
        )
    for batch in [b for b, table in found.items() if table is None]:
        log.warning("batch %s: %s was written by another version: it stays as it is published", batch, asset)
    tables = {b: t for b, t in found.items() if t is not None}
    rows = [indexed(table, batch) for batch, table in tables.items()]
    return list(tables), pl.concat([indexed(empty(columns), ""), *rows])
