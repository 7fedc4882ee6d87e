"""The rights ledger: publishers' statements about each episode, with their times.

Files are only added, so that no statement is lost. Only a takedown changes rows: it blanks the description of an episode and keeps
the rights statements on which the download was based.
"""

import datetime
import hashlib
from collections.abc import Collection

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import RIGHTS
from podcast_assets.store.store import Store

FOLDER = "rights"
_COMPARED = [c for c in RIGHTS if c not in ("observed_at", "source", "title", "podcast")]
"""Columns whose change makes a new row."""
DESCRIBING = ("title", "source")
"""Columns that a takedown blanks."""


def podcast_key(podcast_guid: str) -> str:
    """Name of a podcast's folder in the ledger, stable when its feed moves."""
    return hashlib.sha256(podcast_guid.encode()).hexdigest()[:32]


def add_to_ledger(store: Store, podcast_guid: str, rows: pl.DataFrame) -> int:
    """Add new or changed statements about a podcast's episodes to the ledger and return their number.

    Args:
        store: store with the ledger.
        podcast_guid: guid of the podcast.
        rows: ledger rows, columns RIGHTS, one per episode.
    """
    new = changed_rows(latest_statements(store, podcast_guid), rows)
    if new.is_empty():
        return 0
    digest = hashlib.sha256(new.write_ndjson().encode()).hexdigest()[:8]
    at = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
    store.write_table(f"{FOLDER}/{podcast_key(podcast_guid)}/{at}-{digest}.parquet", new)
    return new.height


def changed_rows(before: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Select rows that are new or differ from the ledger."""
    return rows.join(before, on=_COMPARED, how="anti", nulls_equal=True, maintain_order="left")


def latest_statements(store: Store, podcast_guid: str) -> pl.DataFrame:
    """Latest ledger row of each episode of a podcast."""
    return _latest_rows(read_history(store, podcast_guid))


def read_ledger(store: Store) -> pl.DataFrame:
    """Latest ledger row of each episode of every podcast."""
    podcasts = sorted(store.names(FOLDER))
    return _latest_rows(
        pl.concat([empty_table(RIGHTS), *(_read_rows(store, f"{FOLDER}/{podcast}") for podcast in podcasts)])
    )


def read_history(store: Store, podcast_guid: str) -> pl.DataFrame:
    """All ledger rows of a podcast's episodes, in order of time."""
    return _read_rows(store, f"{FOLDER}/{podcast_key(podcast_guid)}")


def redact_episodes(store: Store, episodes: Collection[str], reason: str, at: datetime.datetime) -> int:
    """Blank the descriptions of taken-down episodes in every row and return how many are in the ledger.

    Args:
        store: store with the ledger.
        episodes: episode ids.
        reason: reason to record.
        at: time of the takedown.
    """
    affected = pl.col("episode_id").is_in(list(episodes))
    count = 0
    for podcast in sorted(store.names(FOLDER)):
        folder = f"{FOLDER}/{podcast}"
        rows = _read_rows(store, folder).filter(affected)
        if rows.is_empty():
            continue
        for name in sorted(n for n in store.names(folder) if n.endswith(".parquet")):
            table = store.read_table(f"{folder}/{name}", RIGHTS)
            if table is not None and table.filter(affected, pl.any_horizontal(pl.col(DESCRIBING).is_not_null())).height:
                blanked = [pl.when(~affected).then(pl.col(c)).alias(c) for c in DESCRIBING]
                store.write_table(f"{folder}/{name}", table.with_columns(blanked))
        latest = _latest_rows(rows).with_columns(
            taken=pl.lit(False),
            reason=pl.lit(reason),
            observed_at=pl.lit(at).cast(pl.Datetime("us", "UTC")),
            **{c: pl.lit(None, pl.String) for c in DESCRIBING},
        )
        add_to_ledger(store, rows["podcast_guid"][0], latest.select(RIGHTS.keys()))
        count += latest.height
    return count


def _read_rows(store: Store, folder: str) -> pl.DataFrame:
    names = sorted(name for name in store.names(folder) if name.endswith(".parquet"))
    found = {name: store.read_table(f"{folder}/{name}", RIGHTS) for name in names}
    if unreadable := next((name for name, table in found.items() if table is None), None):
        raise BadInput(
            f"{store.path(folder)}/{unreadable} was written by another version and must not be ignored: use that version"
        )
    return pl.concat([empty_table(RIGHTS), *(table for table in found.values() if table is not None)])


def _latest_rows(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("observed_at", maintain_order=True).unique("episode_id", keep="last", maintain_order=True)
