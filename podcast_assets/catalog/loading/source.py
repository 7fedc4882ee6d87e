"""What the catalog is loaded from: versions of the batches in the store, and a batch's tables without what was taken down."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.episode_lookup import url_of
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.review_tables import SEGMENTS as REVIEWED_FOLDER
from podcast_assets.store.review_tables import read_reviewed_segments
from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import REVIEWED_SEGMENTS
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import DamagedTable, Store
from podcast_assets.store.takedown_records import FOLDER, Refusals, read_records

FORMAT = 1
"""Raise it when the same tables give other rows: then `catalog load` loads every batch again."""


def list_versions(store: Store) -> dict[str, str]:
    """List the batches that have a table, each with a hash of the times, sizes and entity tags of its tables and reviews."""
    folders = {**{asset: f"tables/{asset}" for asset in TABLE_STAGES}, "reviews": REVIEWED_FOLDER}
    with ThreadPoolExecutor(len(folders)) as readers:
        listings = list(readers.map(store.list_folder, folders.values()))
    parts: dict[str, list[str]] = {}
    for what, listing in zip(folders, listings, strict=True):
        for entry in listing.files:
            name = entry.key.rsplit("/", 1)[-1]
            batch = name.removesuffix(".parquet")
            # reviews come last, and alone they are no batch
            if batch != name and not name.startswith(".") and (what in TABLE_STAGES or batch in parts):
                parts.setdefault(batch, []).append(f"{what}:{entry.bytes}:{entry.modified}:{entry.content or ''}")
    return {
        batch: hashlib.sha256("|".join([str(FORMAT), *facts]).encode()).hexdigest()[:16]
        for batch, facts in sorted(parts.items())
    }


@dataclass(frozen=True)
class Takedowns:
    """Everything that was taken down."""

    records: pl.DataFrame
    """Columns TAKEDOWNS of `store.schema_beside`."""
    refusals: Refusals
    places: frozenset[str]
    """`batch/episode_id` of the episodes that were in the store."""

    def affects(self, batch: str, episode: Mapping[str, Any]) -> bool:
        """Whether a row of `raw_audio` was taken down."""
        if f"{batch}/{episode['episode_id']}" in self.places:
            return True
        facts = {"podcast_id": episode["podcast_id"], "podcast": episode["podcast"]}
        shas = (episode["sha256"], *(episode["earlier_sha256"] or ()))
        if url := url_of(episode):
            facts["url_key"] = url_key(url)
        return self.refusals.why(episode_id=episode["episode_id"], sha256=shas, **facts) is not None


class TakedownReader:
    """Reads the records of takedowns again only when one changed, because every batch asks for them."""

    def __init__(self, store: Store) -> None:
        """Create the reader; nothing is read.

        Args:
            store: store with the records.
        """
        self._store = store
        self._version: list[str] | None = None
        self._found: Takedowns | None = None

    def read(self) -> Takedowns:
        """Read all records.

        Raises:
            BadInput: a record is invalid, and must not be ignored.
        """
        version = sorted(f"{e.key} {e.bytes} {e.modified} {e.content}" for e in self._store.list(FOLDER))
        if self._found is None or version != self._version:
            records = read_records(self._store)
            places = frozenset(place for row in records["episodes"] for place in row)
            self._version, self._found = version, Takedowns(records, Refusals(records), places)
        return self._found


@dataclass(frozen=True)
class SourceTables:
    """The committed tables of a batch, without the rows of episodes that were taken down."""

    batch: str
    tables: Mapping[str, pl.DataFrame]
    """Asset → rows. Assets that are not materialized are missing."""
    provenance: Mapping[str, pl.DataFrame]
    """Asset → provenance."""
    failures: Mapping[str, pl.DataFrame]
    """Asset → failures."""
    reviewed: pl.DataFrame = field(default_factory=lambda: empty_table(REVIEWED_SEGMENTS))
    """Rows REVIEWED_SEGMENTS of what reviewers decided."""
    taken_down: frozenset[str] = frozenset()
    """Ids of the episodes that were left out."""

    def table(self, asset: str) -> pl.DataFrame | None:
        """Rows of an asset; None if it is not materialized."""
        return self.tables.get(asset)


def read_source(store: Store, batch: str, takedowns: Takedowns) -> SourceTables:
    """Read the tables of a batch.

    Raises:
        DamagedTable: a table is damaged; the message says which, and what to do.
        OSError: the store cannot be read.
    """
    with ThreadPoolExecutor(len(TABLE_STAGES)) as readers:
        read = dict(
            zip(TABLE_STAGES, readers.map(lambda a: CommittedTable.read(store, a, batch), TABLE_STAGES), strict=True)
        )
    for asset, committed in read.items():
        if committed.damage:
            raise DamagedTable(f"{committed.damage}: materialize {asset} of {batch} again")
    committed = {asset: found for asset, found in read.items() if found.table is not None}
    gone = _taken_down(batch, committed["raw_audio"].rows, takedowns) if "raw_audio" in committed else frozenset()
    stays = ~pl.col("episode_id").is_in(list(gone))
    return SourceTables(
        batch,
        {asset: found.rows.filter(stays) for asset, found in committed.items()},
        {asset: found.provenance.filter(stays) for asset, found in committed.items()},
        {asset: found.failures.filter(stays) for asset, found in committed.items()},
        read_reviewed_segments(store, batch).filter(stays),
        gone,
    )


def _taken_down(batch: str, raw_audio: pl.DataFrame, takedowns: Takedowns) -> frozenset[str]:
    if takedowns.records.is_empty():
        return frozenset()
    return frozenset(row["episode_id"] for row in raw_audio.iter_rows(named=True) if takedowns.affects(batch, row))
