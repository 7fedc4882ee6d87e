"""Discard of episodes: people leave an episode out of later stages, shards and releases, and can undo it. Nothing is removed."""

import datetime
from dataclasses import dataclass

import polars as pl

from podcast_assets.intake.episode_lookup import find_episode
from podcast_assets.rights.store_clearance import read_episodes
from podcast_assets.store.discard_records import DISCARD_RECORDS, read_discards
from podcast_assets.store.episode_records import Record
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class Discarded:
    """An episode that was discarded."""

    record: Record
    copies: list[str]
    """`batch/episode_id` of other episodes with the same bytes, which are not discarded."""


def discard(store: Store, names: list[str], reason: str, by: str | None, at: datetime.datetime) -> list[Discarded]:
    """Record that episodes are left out. An episode that was discarded before gets the new reason.

    Args:
        store: the store.
        names: names of episodes (`find_episodes`).
        reason: reason, shown wherever the episode is listed.
        by: who decided it; None if unknown.
        at: when.

    Raises:
        BadInput: before anything is recorded, if a name is unknown or ambiguous, or a table of `raw_audio` cannot be read.
    """
    episodes = read_episodes(store, store.table_names("tables/raw_audio"))
    hint = "`podcast-assets episodes --limit 0` lists episodes, which are known once `raw_audio` of their batch is materialized"
    rows = [find_episode(name, episodes, f"{name!r} is no episode that the store knows; {hint}") for name in names]
    before = set(read_discards(store).select("batch", "episode_id").iter_rows())
    own = {(row["batch"], row["episode_id"]) for row in rows} | before
    found = []
    for row in rows:
        record = {k: row[k] for k in ("batch", "episode_id", "source")} | {"reason": reason, "by": by, "at": at}
        DISCARD_RECORDS.write(store, record)
        same = episodes.filter(pl.col("sha256") == pl.lit(row["sha256"], pl.String), pl.col("status") == "done")
        copies = [f"{b}/{e}" for b, e in same.select("batch", "episode_id").iter_rows() if (b, e) not in own]
        found.append(Discarded(record, copies))
    return found


def undo_discard(store: Store, names: list[str]) -> list[Record]:
    """Remove the records of discarded episodes, and return them.

    Args:
        store: the store.
        names: as for `discard`, of discarded episodes.

    Raises:
        BadInput: before anything is removed, if a name is not that of one discarded episode.
    """
    records = read_discards(store)
    hint = "`podcast-assets discard --list` lists all"
    rows = [find_episode(name, records, f"{name!r} is no discarded episode; {hint}") for name in names]
    for row in rows:
        DISCARD_RECORDS.remove(store, row["batch"], row["episode_id"])
    return rows
