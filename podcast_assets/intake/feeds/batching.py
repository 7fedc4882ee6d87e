"""Batching of new episodes into URL lists under `incoming/`, by number and waiting time.

The assignment of episodes to batches is stored before any list is written, so that a crash in between results in the same lists.
"""

import datetime
import hashlib
import json
from collections.abc import Sequence

import polars as pl

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.arrivals import INCOMING
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.links import format_link_list
from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import PENDING
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals

EPISODES, HOURS = 64, 40.0
"""Size at which a batch is full: episodes, or hours of audio."""
_UNKNOWN_SECONDS = 3600.0
"""Assumed length of an episode whose feed declares none."""
_KEY = "feed_state/pending.parquet"


def read_pending(store: Store) -> pl.DataFrame:
    """Read the episodes that wait for a batch.

    Raises:
        BadInput: the table was written by another version; ignoring it would lose episodes.
    """
    found = store.read_table(_KEY, PENDING)
    if found is None and store.exists(_KEY):
        raise BadInput(
            f"{store.path(_KEY)} was written by another version: let that version write its episodes into batches first"
        )
    return empty_table(PENDING) if found is None else found


def add_pending(store: Store, rows: pl.DataFrame) -> None:
    """Add episodes to those that wait for a batch."""
    before = read_pending(store)
    new = rows.unique("episode_id", keep="first", maintain_order=True).join(before, on="episode_id", how="anti")
    if not new.is_empty():
        store.write_table(_KEY, pl.concat([before, new]))


def drop_refused(store: Store, refusals: Refusals) -> int:
    """Drop waiting episodes that were taken down and return their number."""
    waiting = read_pending(store) if refusals else empty_table(PENDING)
    refused = [_is_refused(refusals, *row) for row in waiting.select("episode_id", "row").iter_rows()]
    if any(refused):
        store.write_table(_KEY, waiting.filter(~pl.Series(refused, dtype=pl.Boolean)))
    return sum(refused)


def _is_refused(refusals: Refusals, identity: str, row: str) -> bool:
    metadata = json.loads(row)
    reason = refusals.why(
        episode_id=identity,
        podcast_id=metadata.get("podcast_guid"),
        podcast=metadata.get("podcast"),
        url_key=url_key(metadata["url"]),
    )
    return reason is not None


def write_ready_batches(store: Store, *, now: datetime.datetime, wait: datetime.timedelta) -> list[str]:
    """Write the URL lists of all ready batches and return their names."""
    waiting = read_pending(store)
    assigned = assign_batches(waiting, now=now, wait=wait)
    if assigned["batch"].null_count() < assigned.height and not assigned.equals(waiting):
        store.write_table(_KEY, assigned)
    ready = assigned.filter(pl.col("batch").is_not_null())
    names: list[str] = []
    for name, rows in ready.group_by("batch", maintain_order=True):
        key = f"{INCOMING}/{name[0]}.jsonl"
        if not store.exists(key):  # else it was written before a crash; submitted lists are never modified
            store.write(key, format_link_list(json.loads(row) for row in rows["row"]))
        names.append(str(name[0]))
    if names:
        store.write_table(_KEY, assigned.filter(pl.col("batch").is_null()))
    return names


def assign_batches(waiting: pl.DataFrame, *, now: datetime.datetime, wait: datetime.timedelta) -> pl.DataFrame:
    """Assign waiting episodes to batches in the order in which they were found; pure.

    Returns:
        The episodes with the column `batch`: null for those that wait for more.
    """
    rows = waiting.sort("found_at", "episode_id")
    batches: list[str | None] = rows["batch"].to_list()
    group: list[int] = []
    seconds = 0.0
    for index, (batch, length) in enumerate(rows.select("batch", "seconds").iter_rows()):
        if batch is not None:
            continue
        group.append(index)
        seconds += length or _UNKNOWN_SECONDS
        if len(group) >= EPISODES or seconds >= HOURS * 3600:
            _close_batch(rows, group, batches)
            group, seconds = [], 0.0
    if group and now - rows["found_at"][group[0]] >= wait:
        _close_batch(rows, group, batches)
    return rows.with_columns(pl.Series("batch", batches, dtype=pl.String))


def _close_batch(rows: pl.DataFrame, group: Sequence[int], batches: list[str | None]) -> None:
    found_at = rows["found_at"][group[0]]
    digest = hashlib.sha256("\n".join(rows["episode_id"][i] for i in group).encode()).hexdigest()[:8]
    for index in group:
        batches[index] = f"feeds-{found_at:%Y%m%d}-{digest}"
