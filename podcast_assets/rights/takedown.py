"""Takedown of an episode or a podcast: record it, so that it is refused from then on, then remove it from the store.

Requesting the same takedown again resumes it. Published copies are removed by the next release.
"""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.arrivals import lookup_arrival
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.feeds import batching
from podcast_assets.intake.feeds.subscriptions import display_name, read_subscriptions
from podcast_assets.rights.purge import (
    PurgeResult,
    purge_batch,
    purge_contents,
    purge_downloads,
    purge_incoming,
    purge_near_duplicates,
)
from podcast_assets.rights.store_clearance import read_episodes
from podcast_assets.rights.takedown_target import (
    PODCAST,
    TakedownTarget,
    content_hashes,
    copies_of,
    find_target,
    urls_of,
)
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import TAKEDOWNS
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import (
    Record,
    Refusals,
    new_record,
    read_record,
    read_records,
    refusal_reason,
    write_record,
)

_ROUNDS = 3
"""Maximum number of purges, to catch copies that arrive meanwhile."""


@dataclass(frozen=True)
class TakedownRequest:
    """A requested takedown."""

    name: str
    """Name of an episode or a podcast; see `find_target`."""
    reason: str
    by: str | None
    at: datetime.datetime


@dataclass
class TakedownResult:
    """Result of a takedown, or of its dry run."""

    record: Record
    again: bool
    """Whether it was requested before."""
    purged: PurgeResult
    sound_the_same: list[str] = field(default_factory=list)
    """`batch/episode_id` of other episodes that sound like one that was taken down."""
    feeds: list[str] = field(default_factory=list)
    """Its feeds that are still listed in feeds/."""

    @property
    def batches(self) -> list[str]:
        """Batches that contained its episodes."""
        return sorted({place.split("/", 1)[0] for place in self.record["episodes"]})


def take_down(
    store: Store,
    request: TakedownRequest,
    *,
    shard_bytes: int,
    dry_run: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> TakedownResult:
    """Take down the episode or podcast with this name, and all copies.

    Args:
        store: the store.
        request: target, reason, person and time.
        shard_bytes: value of PODCAST_SHARD_BYTES.
        dry_run: only report what would be removed.
        report: called with progress messages.

    Raises:
        BadInput: before anything is removed, if the name is unknown or ambiguous, or a table of `raw_audio` or a record
            cannot be read.
    """
    episodes = read_episodes(store, store.table_names("tables/raw_audio"))
    known = read_records(store)
    target = find_target(
        request.name, episodes, rights.read_ledger(store), read_subscriptions(store), known.iter_rows(named=True)
    )
    before = read_record(store, target.record_id)
    record = before or new_record(target.record_id, target.scope, target.shown, request.reason, request.by, request.at)
    result = TakedownResult(record, before is not None, PurgeResult(dry_run))
    _extend_record(record, target, copies_of(episodes, target))
    if not dry_run:
        write_record(store, record)
    for _ in range(1 if dry_run else _ROUNDS):
        done = set(record["episodes"])
        _purge_store(store, record, result, shard_bytes, report)
        if dry_run:
            return result
        _extend_record(record, target, copies_of(read_episodes(store, store.table_names("tables/raw_audio")), target))
        if set(record["episodes"]) == done:
            break
        write_record(store, record)
    record["finished_at"] = record["finished_at"] or datetime.datetime.now(datetime.UTC)
    record["remains"] = sorted(set(result.purged.remains))
    write_record(store, record)
    return result


def _extend_record(record: Record, target: TakedownTarget, rows: pl.DataFrame) -> None:
    """Add currently known episodes to a record; new ones make it unfinished."""
    found = {
        "episode_ids": {*target.episode_ids, *rows["episode_id"]},
        "podcast_ids": target.podcast_ids,
        "podcast_titles": target.podcast_titles,
        "sha256": set(content_hashes(rows)),
        "url_keys": target.url_keys | {url_key(url) for url in urls_of(rows)},
        "episodes": {f"{b}/{e}" for b, e in rows.select("batch", "episode_id").iter_rows()},
    }
    for name, values in found.items():
        if not values.issubset(record[name]):
            record["finished_at"] = None
        record[name] = sorted(values.union(record[name]))


def _purge_store(
    store: Store, record: Record, result: TakedownResult, shard_bytes: int, report: Callable[[str], None]
) -> None:
    """Purge everything that a record names, once."""
    purged = result.purged
    refusals = Refusals(make_table([record], TAKEDOWNS))
    for batch in result.batches:
        own = {place.split("/", 1)[1] for place in record["episodes"] if place.startswith(f"{batch}/")}
        with store.batch_lock(batch):
            rows = read_episodes(store, [batch]).filter(pl.col("episode_id").is_in(list(own)))
            report(f"{batch}: {rows.height} episode(s)")
            purge_incoming(store, lookup_arrival(store, batch), rows["source"].to_list(), purged)
            purge_batch(
                store,
                batch,
                rows,
                refusal_reason(record),
                purged,
                shard_bytes=shard_bytes,
            )
    purge_contents(store, record["sha256"], purged)
    purge_downloads(store, record["url_keys"], purged)
    result.sound_the_same = sorted({*result.sound_the_same, *purge_near_duplicates(store, record["episodes"], purged)})
    _purge_feeds(store, record, refusals, result)


def _purge_feeds(store: Store, record: Record, refusals: Refusals, result: TakedownResult) -> None:
    """Purge pending episodes and ledger descriptions, and find the lists that still name the feeds, which people edit."""
    ledger = rights.read_ledger(store)
    affected = pl.col("episode_id").is_in(record["episode_ids"])
    if record["scope"] == PODCAST:
        affected = affected | pl.col("podcast_guid").is_in(record["podcast_ids"])
    rows = ledger.filter(affected)
    described = rows.filter(pl.any_horizontal(pl.col(rights.DESCRIBING).is_not_null()))
    if described.height:
        result.purged.counts["rows under rights/ (emptied)"] += described.height
    if not result.purged.dry:
        rights.redact_episodes(
            store, set(rows["episode_id"]), refusal_reason(record), datetime.datetime.now(datetime.UTC)
        )
        if dropped := batching.drop_refused(store, refusals):
            result.purged.counts["rows under feed_state/"] += dropped
    followed = read_subscriptions(store).feeds
    result.feeds = sorted(display_name(s) for key, s in followed.items() if key in record["url_keys"])


def result_to_json(result: TakedownResult) -> str:
    """Convert the result to one JSON object."""
    record = {k: v.isoformat() if isinstance(v, datetime.datetime) else v for k, v in result.record.items()}
    return json.dumps(
        record
        | {
            "dry_run": result.purged.dry,
            "again": result.again,
            "removed": dict(sorted(result.purged.counts.items())),
            "shards": result.purged.shards,
            "damaged": result.purged.damaged,
            "remains": sorted(set(result.purged.remains)),
            "sound_the_same": result.sound_the_same,
            "feeds": result.feeds,
        },
        ensure_ascii=False,
    )
