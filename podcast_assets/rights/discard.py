"""Discard of episodes: people leave an episode out of later stages, shards and releases, and can undo it. Nothing is removed."""

import datetime
from dataclasses import dataclass

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.common.wording import join_names
from podcast_assets.intake.names import normalize
from podcast_assets.rights.store_clearance import read_episodes
from podcast_assets.rights.takedown_target import has_source
from podcast_assets.store.discard_records import Record, read_discards, remove_discard, write_discard
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
        names: ids, `batch/id`, names of files, `batch/file` or SHA-256 of episodes.
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
        write_discard(store, record)
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
        remove_discard(store, row["batch"], row["episode_id"])
    return rows


def find_episode(name: str, episodes: pl.DataFrame, unknown: str) -> Record:
    """Find the only episode with a name.

    Args:
        name: its id, `batch/id`, file, `batch/file` or SHA-256.
        episodes: rows with `batch`, `episode_id`, `source` and perhaps `sha256`.
        unknown: error message if there is none.

    Raises:
        BadInput: there is none, or several.
    """
    batch, _, rest = normalize(name).partition("/")
    of_batch = pl.col("batch") == batch
    criteria = [
        (pl.col("episode_id") == name) | (of_batch & (pl.col("episode_id") == rest)),
        has_source(name) | (of_batch & has_source(rest)),
        *([pl.col("sha256") == name] if "sha256" in episodes.columns else ()),
    ]
    for criterion in criteria:
        rows = episodes.filter(criterion)
        if rows.height > 1:
            places = [f"{b}/{e}" for b, e in rows.select("batch", "episode_id").iter_rows()]
            raise BadInput(f"{name} is the name of {rows.height} episodes: name one of {join_names(places)}")
        if rows.height:
            return rows.row(0, named=True)
    raise BadInput(unknown)
