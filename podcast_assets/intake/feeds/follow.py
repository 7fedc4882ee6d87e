"""Polling of all due feeds: record rights statements and queue new episodes for batches."""

import datetime
import json
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from podcast_assets.common.language_codes import language_code
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.urls import redact_url_distinctly, url_key
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
_WRITE_SECONDS = 1.0


@dataclass
class FollowResult:
    """Result of a polling round."""

    looked: int = 0
    changed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Redacted URL of a feed, distinct from that of any other → error message."""
    notes: dict[str, str] = field(default_factory=dict)
    """Redacted URL of a feed that was read → what deserves a look."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Reason → number of entries of changed feeds that become no episodes."""
    new_episodes: int = 0
    batches: list[str] = field(default_factory=list)
    next_due: datetime.datetime | None = None
    """Time of the next poll or batch; None for at once."""


@dataclass(frozen=True)
class FollowOptions:
    """Options of the polling of feeds."""

    hours: float
    """Default for the hours between two polls of a feed."""
    wait: datetime.timedelta
    """Longest time that new episodes wait for others to fill a batch."""
    newest: int | None
    at_once: int
    seconds: float
    """Time after which a round polls no further feed, s."""


def follow_feeds(
    store: Store, web: HttpClient, feeds: Subscriptions, options: FollowOptions, *, now: datetime.datetime
) -> FollowResult:
    """Poll the feeds that are due, the longest overdue first.

    Episodes are recorded before the state of their feed, so that the feed is polled again after a crash. Both are recorded while
    other feeds are polled, so that a slow one costs the others nothing.

    Raises:
        OSError: the store is full or read-only.
    """
    refusals = Refusals.of(store)
    feeds = _without_refused(feeds, refusals)
    states = read_states(store)
    state_by_feed = {row["feed"]: row for row in states.iter_rows(named=True)}
    due = sorted(
        (s for s in feeds.feeds.values() if _is_due(state_by_feed.get(s.key), now)),
        key=lambda s: _due_since(state_by_feed.get(s.key), now),
    )
    result = FollowResult()
    record = _Record(store, feeds, state_by_feed)
    for subscription, poll in _poll_feeds(store, web, due, dict(state_by_feed), options, now):
        result.looked += 1
        if message := poll.state["message"]:
            told = result.failed if poll.state["failures"] else result.notes
            told[redact_url_distinctly(subscription.url)] = message
        if poll.feed is not None:
            result.changed += 1
            rows, new = _select_items(store, subscription, poll.feed, options, now, refusals)
            result.passed_over += _count_passed_over(poll, rows)
            result.new_episodes += len(new)
            record.add_feed(poll.feed.guid, rows, new)
        record.add_state(subscription, poll.state)
    record.write()
    batching.drop_refused(store, refusals)
    result.batches = batching.write_ready_batches(store, now=now, wait=options.wait)
    result.next_due = _next_due(store, feeds, state_by_feed, options)
    return result


@dataclass
class _Record:
    """What a round found and has not written yet."""

    store: Store
    feeds: Subscriptions
    states: dict[str, dict[str, Any]]
    """State of each feed, by its key."""
    _pending: list[dict[str, Any]] = field(default_factory=list)
    _ledger: list[tuple[str, pl.DataFrame]] = field(default_factory=list)
    _changed: bool = False
    _written_at: float = field(default_factory=time.monotonic)

    def add_feed(self, guid: str, ledger: pl.DataFrame, pending: list[dict[str, Any]]) -> None:
        """Add ledger rows and new episodes of a feed."""
        self._ledger.append((guid, ledger))
        self._pending += pending

    def add_state(self, subscription: Subscription, state: dict[str, Any]) -> None:
        """Add the new state of a feed, after its episodes; what was found is written every second."""
        self.states[subscription.key] = state
        self._changed = True
        if time.monotonic() - self._written_at >= _WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write episodes, then the ledger, then the states."""
        if self._pending:
            batching.add_pending(self.store, make_table(self._pending, PENDING))
        for guid, rows in self._ledger:
            rights.add_to_ledger(self.store, guid, rows)
        if self._changed:
            current = [row for key, row in self.states.items() if key in self.feeds.feeds]
            self.store.write_table(_KEY, make_table(current, FEED_STATE))
        self._pending, self._ledger, self._changed, self._written_at = [], [], False, time.monotonic()


def _count_passed_over(poll: FeedPoll, ledger: pl.DataFrame) -> Counter[str]:
    """Count the entries of a feed that become no episodes, by reason, and add those that its ledger rows refuse to its state."""
    assert poll.feed is not None
    refused = Counter[str](ledger["reason"].drop_nulls().to_list())
    if left := len(poll.feed.items) - ledger.height:
        refused["an episode older than the newest that are wanted"] = left
    listed = {item["reason"]: item["entries"] for item in poll.state["passed_over"]}
    poll.state["passed_over"] = [{"reason": r, "entries": n} for r, n in (listed | refused).items()]
    return Counter(poll.feed.passed_over) + refused


def read_states(store: Store) -> pl.DataFrame:
    """Read the polling state of each feed."""
    found = store.read_table(_KEY, FEED_STATE)
    return empty_table(FEED_STATE) if found is None else found


def _poll_feeds(
    store: Store,
    web: HttpClient,
    due: list[Subscription],
    state_by_feed: dict[str, dict[str, Any]],
    options: FollowOptions,
    now: datetime.datetime,
) -> Iterable[tuple[Subscription, FeedPoll]]:
    """Poll feeds concurrently until the time of the round is over, and yield each when it is done.

    The others wait for the next round.

    The remaining feeds of an overloaded host wait too: a host may serve thousands of feeds.
    """
    until = time.monotonic() + options.seconds
    busy: set[str] = set()

    def poll(subscription: Subscription) -> FeedPoll | None:
        host = display_name(subscription).split("/")[2:3]
        if time.monotonic() >= until or busy.intersection(host):
            return None
        found = poll_feed(
            web,
            subscription,
            state_by_feed.get(subscription.key),
            now=now,
            hours=options.hours,
            newest=subscription.newest or options.newest,
            is_known=lambda page: _is_known(store, page),
        )
        if found.busy:
            busy.update(host)
        return found

    with ThreadPoolExecutor(options.at_once, thread_name_prefix="feeds") as pool:
        polls = {pool.submit(poll, subscription): subscription for subscription in due}
        for done in as_completed(polls):
            if (found := done.result()) is not None:
                yield polls[done], found


def _is_known(store: Store, page: Feed) -> bool:
    """Whether a page has episodes, and all of them are in the ledger."""
    known = set(rights.latest_statements(store, page.guid)["episode_id"])
    return bool(page.items) and all(page.episode_id(item) in known for item in page.items)


def _without_refused(feeds: Subscriptions, refusals: Refusals) -> Subscriptions:
    """Remove taken-down feeds, so that they are not requested again."""
    allowed = {key: s for key, s in feeds.feeds.items() if not refusals.why(url_key=key)}
    return Subscriptions(allowed, feeds.troubles, feeds.signature)


def _select_items(
    store: Store,
    subscription: Subscription,
    feed: Feed,
    options: FollowOptions,
    now: datetime.datetime,
    refusals: Refusals,
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Ledger rows of a feed's episodes, and pending rows of those to download."""
    taken = set(rights.latest_statements(store, feed.guid).filter("taken")["episode_id"])
    ledger, new = [], []
    newest = subscription.newest or options.newest
    for item in sorted(feed.items, key=_published_or_oldest, reverse=True)[:newest]:
        identity = feed.episode_id(item)
        blocked = item.rights.blocked and not subscription.take_blocked
        refused = refusals.why(episode_id=identity, podcast_id=feed.guid, podcast=feed.title, url_key=url_key(item.url))
        if refused:
            # taken-down episodes are recorded by their ids alone
            ledger.append(_ledger_row(subscription, feed, item, now, reason=refused) | dict.fromkeys(rights.DESCRIBING))
            continue
        if identity not in taken and not blocked:
            new.append(_pending_row(subscription, feed, item, now))
        reason = None if identity in taken or not blocked else _BLOCKED
        ledger.append(_ledger_row(subscription, feed, item, now, reason=reason))
    return make_table(ledger, RIGHTS), new


def _published_or_oldest(item: FeedItem) -> datetime.datetime:
    return item.published or datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _pending_row(subscription: Subscription, feed: Feed, item: FeedItem, now: datetime.datetime) -> dict[str, Any]:
    row = feed.row(item, subscription.url)
    overrides = {
        "language": language_code(subscription.language),
        "license": subscription.license,
        "min_speakers": subscription.min_speakers,
        "max_speakers": subscription.max_speakers,
        "diarizer": subscription.diarizer,
    }
    row |= {name: value for name, value in overrides.items() if value}
    return {
        "episode_id": feed.episode_id(item),
        "found_at": now,
        "batch": None,
        "seconds": item.seconds,
        "row": json.dumps(row, ensure_ascii=False),
    }


def _ledger_row(
    subscription: Subscription, feed: Feed, item: FeedItem, now: datetime.datetime, *, reason: str | None
) -> dict[str, Any]:
    statements = item.rights
    return {
        "episode_id": feed.episode_id(item),
        "podcast_guid": feed.guid,
        "guid": item.guid,
        "podcast": feed.title,
        "title": item.about.get("title"),
        "feed": display_name(subscription),
        "source": redact_url(item.url),
        "uploader": None,
        "license": subscription.license or statements.license,
        "license_url": statements.license_url,
        "copyright": statements.copyright,
        "medium": statements.medium,
        "locked": statements.locked,
        "blocked": statements.blocked,
        "explicit": statements.explicit,
        "taken": reason is None,
        "reason": reason,
        "observed_at": now,
    }


def _is_due(state: dict[str, Any] | None, now: datetime.datetime) -> bool:
    return state is None or state["due_at"] <= now


def _due_since(state: dict[str, Any] | None, now: datetime.datetime) -> datetime.datetime:
    """Time since when a feed is due; new feeds come after overdue ones."""
    return now if state is None else state["due_at"]


def _next_due(
    store: Store, feeds: Subscriptions, state_by_feed: dict[str, dict[str, Any]], options: FollowOptions
) -> datetime.datetime | None:
    if feeds.feeds.keys() - state_by_feed.keys():
        return None
    dues = [state_by_feed[key]["due_at"] for key in feeds.feeds]
    open_since = batching.read_pending(store).filter(pl.col("batch").is_null())["found_at"].min()
    if isinstance(open_since, datetime.datetime):
        dues.append(open_since + options.wait)
    return min(dues, default=datetime.datetime.max.replace(tzinfo=datetime.UTC))
