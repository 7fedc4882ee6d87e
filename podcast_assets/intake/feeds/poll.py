"""Polling of one feed: its first page if it has changed, where it has moved to, and its further pages."""

import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.limited_calls import Limit, LimitedCalls
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.download import retry_after, status_with_name
from podcast_assets.intake.downloads.http import HttpClient, HttpResponse, TimeBudget, Transient
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.feeds.feed import Feed, add_item, read_feed
from podcast_assets.intake.feeds.state import (
    LONGEST_DAYS,
    FetchedFeed,
    initial_state,
    state_after_failure,
    state_after_success,
    state_of_feed,
)
from podcast_assets.intake.feeds.subscriptions import Subscription, display_name

log = logging.getLogger(__name__)

LARGEST = 50_000_000
"""Maximum size of a feed with all its pages, bytes; the largest published ones have about ten million."""
SECONDS = 20.0
"""Time limit for one feed, s; a tick of the sensor has 60 s. A feed with more pages continues in the next tick."""
PARSE_SECONDS = 15.0
"""Time limit for a page of a feed to be parsed, s."""
PARSER_MEMORY = 2 << 30
"""Limit of the address space of a process that parses feeds, in bytes."""
MOST_PAGES = 500
"""Maximum number of pages of a feed."""
MOST_EMPTY = 10
"""Number of pages without episodes, one after the other, after which no further page is read."""
MOST_MOVES = 5
"""Maximum number of times that a feed may say that it moved, one after the other."""
_READER = LimitedCalls(PARSER_MEMORY)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class _Busy(Transient):
    """A host is overloaded."""


@dataclass(frozen=True)
class FeedPoll:
    """Result of polling a feed: its new state, and its content if it has changed."""

    state: dict[str, Any]
    feed: Feed | None = None
    busy: bool = False
    """Whether its host is overloaded."""


def poll_feed(
    web: HttpClient,
    subscription: Subscription,
    before: Mapping[str, Any] | None,
    *,
    now: datetime.datetime,
    hours: float,
    newest: int | None = None,
    is_known: Callable[[Feed], bool] = lambda page: False,
) -> FeedPoll:
    """Request a feed if it has changed.

    Args:
        web: HTTP client.
        subscription: the feed.
        before: its state after the last poll; None for the first poll.
        now: current time.
        hours: default for the hours between two polls.
        newest: number of latest episodes that are needed; None for all.
        is_known: whether all episodes of a page were read before.
    """
    state = initial_state(subscription) | dict(before or {}) | {"checked_at": now}
    interval = subscription.hours or hours
    try:
        found = _fetch_feed(web, subscription, state, newest=newest, is_known=is_known)
    except Exception as error:
        if not isinstance(error, (Transient, BadInput)):  # an unexpected feed must not stop the others
            log.exception("feed %s", display_name(subscription))
        # the next poll begins with the first page again
        state |= {"continue_at": None, "pages": None if state["continue_at"] else state["pages"]}
        return FeedPoll(state | state_after_failure(state, error, now, interval), busy=isinstance(error, _Busy))
    if found is None:
        return FeedPoll(state | state_after_success(subscription, now, interval))
    changes = state_of_feed(subscription, state, found)
    interval = LONGEST_DAYS * 24 if found.feed.complete else interval
    if found.error:
        after = state_after_failure(state, found.error, now, interval)
        after["message"] = f"page {changes['pages'] + 1}: {after['message']}"
    else:
        after = state_after_success(subscription, now, 0 if found.continue_at else interval) | {"message": found.note}
    return FeedPoll(state | changes | after, found.feed, busy=isinstance(found.error, _Busy))


def _fetch_feed(
    web: HttpClient,
    subscription: Subscription,
    state: Mapping[str, Any],
    *,
    newest: int | None,
    is_known: Callable[[Feed], bool],
) -> FetchedFeed | None:
    """Request a feed and all its pages; return None if it has not changed.

    Args:
        web: HTTP client.
        subscription: the feed.
        state: its state after the last poll.
        newest: number of latest episodes that are needed; None for all.
        is_known: whether all episodes of a page were read before.

    Raises:
        BadInput: it is not a feed, or the URL is not allowed.
        Transient: the server does not answer as it should.
    """
    requests = _Requests(web, subscription, TimeBudget(SECONDS), time.monotonic() + SECONDS, guid=state["podcast_guid"])
    if state["continue_at"]:
        started = requests.get(state["continue_at"])
        assert started is not None
        all_read = False
    else:
        started = _get_first_page(requests, subscription, state)
        if started is None:
            return None
        if state["episodes"] is not None:
            # its episodes have ids by this guid, whatever guid the feed has where it moved to
            requests.guid = started.feed.guid
        started = _follow_moves(requests, started)
        all_read = state["pages"] is not None
    before = (state["pages"] or 0) if state["continue_at"] else 0
    return _read_pages(requests, started, before, newest, is_known if all_read else None)


@dataclass(frozen=True)
class _Page:
    """A page of a feed."""

    feed: Feed
    address: str
    """Address to request the next time: that of the request, or where permanent redirects led."""
    response: HttpResponse
    asked: str
    """Address of the request."""
    note: str | None = None
    announced: str | None = None
    """Address to which it says that it moved, and which is no feed."""


@dataclass
class _Requests:
    """Requests for one feed, within a common limit of time and size."""

    web: HttpClient
    subscription: Subscription
    budget: TimeBudget
    until: float
    size: int = 0
    guid: str | None = None
    """Guid of the podcast by earlier polls, which the ids of its episodes are derived from."""

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> _Page | None:
        """Request a page; return None if it has not changed."""
        all_headers = {"Accept-Encoding": "gzip", **(headers or {})}
        with self.web.get(url, all_headers, self.budget) as response:
            if response.status == HTTPStatus.NOT_MODIFIED and headers:
                return None
            if response.status != HTTPStatus.OK:
                raise _error_for_status(response)
            data = self._read_body(response)
        # without a guid, ids come from the subscription's URL, wherever the feed is now
        feed = _READER.call(
            Limit("it", PARSE_SECONDS),
            read_feed,
            data,
            self.subscription.url,
            response.headers.get("Content-Type"),
            response.url,
        )
        if self.guid:
            feed = replace(feed, guid=self.guid)
        return _Page(feed, response.moved_to or url, response, url)

    @property
    def is_over(self) -> bool:
        """Whether there is no time for another request. The time in which it waited for its turn at the host counts, too."""
        return time.monotonic() >= self.until or self.budget.left <= 0

    def _read_body(self, response: HttpResponse) -> bytes:
        parts = []
        for block in response.blocks():
            parts.append(block)
            self.size += len(block)
            if self.size > LARGEST:
                raise BadInput(f"it has more than {LARGEST:,} bytes")
        return b"".join(parts)


def _get_first_page(requests: _Requests, subscription: Subscription, state: Mapping[str, Any]) -> _Page | None:
    """Request the feed where it is now; where that fails, where its list says that it is."""
    headers = {"If-None-Match": state["etag"], "If-Modified-Since": state["last_modified"]}
    known = {name: value for name, value in headers.items() if value}
    moved_to = state["address"]
    if moved_to:
        try:
            return requests.get(moved_to, known)
        except _Busy:
            raise
        except (Transient, BadInput):
            return requests.get(subscription.url)
    return requests.get(subscription.url, known)


def _follow_moves(requests: _Requests, page: _Page) -> _Page:
    """Follow itunes:new-feed-url. Where it leads to no feed, the feed stays where it is."""
    seen = {_without_scheme(page.asked), _without_scheme(page.response.url), _without_scheme(page.address)}
    for _ in range(MOST_MOVES):
        target = page.feed.moved_to
        if target is None or _without_scheme(target) in seen:
            return page
        seen.add(_without_scheme(target))
        try:
            found = requests.get(target)
        except (Transient, BadInput) as error:
            note = f"it says that it moved to {redact_url(target)}, which cannot be read: {error}"
            return replace(page, note=note, announced=target)
        assert found is not None
        page = found
        seen |= {_without_scheme(page.response.url), _without_scheme(page.address)}
    return replace(page, note=f"it says that it moved more than {MOST_MOVES} times")


def _without_scheme(url: str) -> str:
    """Many feeds name their own address as the new one, and differ in scheme or slash."""
    return url.partition("://")[2].partition("#")[0].rstrip("/").lower()


def _read_pages(
    requests: _Requests,
    first: _Page,
    read_before: int,
    newest: int | None,
    is_known: Callable[[Feed], bool] | None,
) -> FetchedFeed:
    """Read the pages after the first, as far as they have episodes that are not read yet."""
    items = {item.guid: item for item in first.feed.items}
    passed_over = Counter(first.feed.passed_over)
    seen = {url_key(first.asked), url_key(first.response.url)}
    result = FetchedFeed(
        first.feed,
        first.address,
        first.response.headers.get("ETag"),
        first.response.headers.get("Last-Modified"),
        pages=1,
        note=first.note,
        announced=first.announced,
    )
    page, without_episodes = first.feed, 0
    requests.guid = page.guid
    while (target := page.next_page) and url_key(target) not in seen:
        if newest is not None and len(items) >= newest:
            result = replace(result, more=True)
            break
        if is_known and is_known(page):
            result = replace(result, known_from_here=True)
            break
        if read_before + result.pages >= MOST_PAGES:
            result = replace(result, note=f"it has more than {MOST_PAGES} pages; older episodes are left out")
            break
        if requests.is_over:
            result = replace(result, continue_at=target)
            break
        try:
            found = requests.get(target)
        except (Transient, BadInput) as error:
            result = replace(result, continue_at=target, error=error)
            break
        assert found is not None
        page = found.feed
        seen |= {url_key(target), url_key(found.response.url)}
        result = replace(result, pages=result.pages + 1)
        passed_over += Counter(page.passed_over)
        if page.items and not sum(add_item(items, item) for item in page.items):
            break  # some servers give the last page for every higher number
        without_episodes = 0 if page.items else without_episodes + 1
        if without_episodes >= MOST_EMPTY:
            result = replace(result, note=f"{MOST_EMPTY} pages in a row have no episodes; older ones are left out")
            break
    feed = replace(first.feed, items=tuple(items.values()), passed_over=dict(passed_over))
    return replace(result, feed=feed)


def _error_for_status(response: HttpResponse) -> Transient:
    message = f"the server answered {status_with_name(response.status)}"
    wait = retry_after(response.headers.get("Retry-After"), now=time.time())
    return (_Busy if response.status in _BUSY else Transient)(message, wait)
