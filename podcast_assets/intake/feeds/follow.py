"""Polling of all due feeds: record rights statements and queue new episodes for batches."""

import datetime
import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.language_codes import language_code
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.urls import redact_url, url_key
from podcast_assets.intake.feeds import batching
from podcast_assets.intake.feeds.feed import Feed, FeedItem
from podcast_assets.intake.feeds.poll import FeedPoll, poll_feed
from podcast_assets.intake.feeds.subscriptions import Subscription, Subscriptions, display_name
from podcast_assets.store.schema import empty_table, make_table
from podcast_assets.store.schema_beside import FEED_STATE, PENDING, RIGHTS
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals

_KEY = "feed_state/feeds.parquet"
_BLOCKED = "its publisher blocks it"


@dataclass
class FollowResult:
    """Result of a polling round."""

    looked: int = 0
    changed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Feed, without its secrets → what was wrong."""
    new_episodes: int = 0
    batches: list[str] = field(default_factory=list)
    next_due: datetime.datetime | None = None
    """When there is something to do again; None for at once."""


@dataclass(frozen=True)
class FollowOptions:
    """Options of the polling of feeds."""

    hours: float
    """Between two looks at a feed whose list says nothing else."""
    wait: datetime.timedelta
    """How long new episodes wait at most for others to fill their batch."""
    newest: int | None
    at_once: int
    seconds: float
    """After which a round begins to look at no further feed."""


def follow_feeds(
    store: Store, web: HttpClient, feeds: Subscriptions, how: FollowOptions, *, now: datetime.datetime
) -> FollowResult:
    """Poll the feeds that are due, the longest overdue first.

    What a feed has is noted before it is noted that it was looked at: after a crash it is looked at again.

    Raises:
        OSError: the store is full or read-only.
    """
    refusals = Refusals.of(store)
    feeds = _without_refused(feeds, refusals)
    states = read_states(store)
    known = {row["feed"]: row for row in states.iter_rows(named=True)}
    due = sorted(
        (s for s in feeds.feeds.values() if _is_due(known.get(s.key), now)),
        key=lambda s: _due_since(known.get(s.key), now),
    )
    result = FollowResult()
    waiting: list[dict[str, Any]] = []
    noted: list[tuple[str, pl.DataFrame]] = []
    for subscription, found in _poll_feeds(web, due, known, how, now):
        result.looked += 1
        known[subscription.key] = found.state
        if found.state["message"]:
            result.failed[display_name(subscription)] = found.state["message"]
        if found.feed is not None:
            result.changed += 1
            rows, new = _select_items(store, subscription, found.feed, how, now, refusals)
            noted.append((found.feed.guid, rows))
            waiting += new
    if waiting:
        batching.add_pending(store, make_table(waiting, PENDING))
        result.new_episodes = len(waiting)
    for guid, rows in noted:
        rights.add_to_ledger(store, guid, rows)
    if result.looked:
        kept = [row for key, row in known.items() if key in feeds.feeds]
        store.write_table(_KEY, make_table(kept, FEED_STATE))
    batching.drop_refused(store, refusals)
    result.batches = batching.write_ready_batches(store, now=now, wait=how.wait)
    result.next_due = _next_due(store, feeds, known, how)
    return result


def read_states(store: Store) -> pl.DataFrame:
    """Read the polling state of each feed."""
    found = store.read_table(_KEY, FEED_STATE)
    return empty_table(FEED_STATE) if found is None else found


def _poll_feeds(
    web: HttpClient,
    due: list[Subscription],
    known: dict[str, dict[str, Any]],
    how: FollowOptions,
    now: datetime.datetime,
) -> Iterable[tuple[Subscription, FeedPoll]]:
    """Poll several feeds at once until the time of the round is over; the rest waits for the next round.

    So are those at a host that says that it has too much to do: thousands of feeds may lie there.
    """
    until = time.monotonic() + how.seconds
    busy: set[str] = set()

    def one(subscription: Subscription) -> FeedPoll | None:
        host = display_name(subscription).split("/")[2:3]
        if time.monotonic() >= until or busy.intersection(host):
            return None
        found = poll_feed(web, subscription, known.get(subscription.key), now=now, hours=how.hours)
        if found.busy:
            busy.update(host)
        return found

    with ThreadPoolExecutor(how.at_once, thread_name_prefix="feeds") as pool:
        for subscription, found in zip(due, pool.map(one, due), strict=True):
            if found is not None:
                yield subscription, found


def _without_refused(feeds: Subscriptions, refusals: Refusals) -> Subscriptions:
    """The feeds without those that were taken down: nobody asks for them again."""
    kept = {key: s for key, s in feeds.feeds.items() if not refusals.why(url_key=key)}
    return Subscriptions(kept, feeds.troubles, feeds.signature)


def _select_items(
    store: Store, subscription: Subscription, feed: Feed, how: FollowOptions, now: datetime.datetime, refusals: Refusals
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The ledger's rows of a feed's episodes, and those of them that are to be taken now."""
    taken = set(rights.latest_statements(store, feed.guid).filter("taken")["episode_id"])
    ledger, new = [], []
    newest = subscription.newest or how.newest
    for item in sorted(feed.items, key=_published_or_oldest, reverse=True)[:newest]:
        identity = feed.episode_id(item)
        blocked = item.rights.blocked and not subscription.take_blocked
        refused = refusals.why(episode_id=identity, podcast_id=feed.guid, podcast=feed.title, url_key=url_key(item.url))
        if refused:
            # what was taken down is known by its ids alone
            ledger.append(
                _ledger_row(subscription, feed, item, now, why_not=refused) | dict.fromkeys(rights.DESCRIBING)
            )
            continue
        if identity not in taken and not blocked:
            new.append(_pending_row(subscription, feed, item, now))
        why_not = None if identity in taken or not blocked else _BLOCKED
        ledger.append(_ledger_row(subscription, feed, item, now, why_not=why_not))
    return make_table(ledger, RIGHTS), new


def _published_or_oldest(item: FeedItem) -> datetime.datetime:
    return item.published or datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _pending_row(subscription: Subscription, feed: Feed, item: FeedItem, now: datetime.datetime) -> dict[str, Any]:
    row = feed.row(item, subscription.url)
    given = {"language": language_code(subscription.language), "license": subscription.license}
    row |= {name: value for name, value in given.items() if value}
    return {
        "episode_id": feed.episode_id(item),
        "found_at": now,
        "batch": None,
        "seconds": item.seconds,
        "row": json.dumps(row, ensure_ascii=False),
    }


def _ledger_row(
    subscription: Subscription, feed: Feed, item: FeedItem, now: datetime.datetime, *, why_not: str | None
) -> dict[str, Any]:
    said = item.rights
    return {
        "episode_id": feed.episode_id(item),
        "podcast_guid": feed.guid,
        "guid": item.guid,
        "podcast": feed.title,
        "title": item.about.get("title"),
        "feed": display_name(subscription),
        "source": redact_url(item.url),
        "license": subscription.license or said.license,
        "license_url": said.license_url,
        "copyright": said.copyright,
        "medium": said.medium,
        "locked": said.locked,
        "blocked": said.blocked,
        "explicit": said.explicit,
        "taken": why_not is None,
        "reason": why_not,
        "observed_at": now,
    }


def _is_due(state: dict[str, Any] | None, now: datetime.datetime) -> bool:
    return state is None or state["due_at"] <= now


def _due_since(state: dict[str, Any] | None, now: datetime.datetime) -> datetime.datetime:
    """Since when it is due; a feed that nobody has looked at comes after those that are overdue."""
    return now if state is None else state["due_at"]


def _next_due(
    store: Store, feeds: Subscriptions, known: dict[str, dict[str, Any]], how: FollowOptions
) -> datetime.datetime | None:
    if feeds.feeds.keys() - known.keys():
        return None
    dues = [known[key]["due_at"] for key in feeds.feeds]
    open_since = batching.read_pending(store).filter(pl.col("batch").is_null())["found_at"].min()
    if isinstance(open_since, datetime.datetime):
        dues.append(open_since + how.wait)
    return min(dues, default=datetime.datetime.max.replace(tzinfo=datetime.UTC))
