"""Polling of one feed: conditional request, content and time of the next poll."""

import datetime
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.download import retry_after, status_with_name
from podcast_assets.intake.downloads.http import HttpClient, HttpResponse, TimeBudget, Transient
from podcast_assets.intake.downloads.urls import redact_url
from podcast_assets.intake.feeds.feed import Feed, read_feed
from podcast_assets.intake.feeds.subscriptions import Subscription, display_name

log = logging.getLogger(__name__)

LARGEST = 50_000_000
"""Bytes of a feed; the longest that people publish have ten million."""
SECONDS = 20.0
"""That a feed may take: a tick of the sensor has 60."""
LONGEST_DAYS = 7.0
"""Between two looks at a feed that fails, or that is complete."""
_SPREAD = 0.1
"""Share of its interval by which a feed is looked at earlier, so that those which are added together do not stay together."""
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class _Busy(Transient):
    """A host is overloaded."""


@dataclass(frozen=True)
class FeedPoll:
    """Result of polling a feed: its new state, and its content if it has changed."""

    state: dict[str, Any]
    feed: Feed | None = None
    busy: bool = False
    """Its host wants to be left alone."""


def poll_feed(
    web: HttpClient,
    subscription: Subscription,
    before: Mapping[str, Any] | None,
    *,
    now: datetime.datetime,
    hours: float,
) -> FeedPoll:
    """Request a feed if it has changed.

    Args:
        web: to ask.
        subscription: the feed.
        before: its row of the last look; None for the first.
        now: the time.
        hours: between two looks, where its list says nothing else.
    """
    state: dict[str, Any] = dict(before) if before else _initial_state(subscription)
    state |= {"checked_at": now}
    every = subscription.hours or hours
    try:
        with web.get(subscription.url, _request_headers(state), TimeBudget(SECONDS)) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED:
                return FeedPoll(state | _state_after_success(subscription, now, every))
            if answer.status != HTTPStatus.OK:
                raise _error_for_status(answer, now)
            data = _read_body(answer)
            feed = read_feed(data, subscription.url, answer.headers.get("Content-Type"))
    except _Busy as error:
        return FeedPoll(state | _state_after_failure(state, error, now, every), busy=True)
    except (Transient, BadInput) as error:
        return FeedPoll(state | _state_after_failure(state, error, now, every))
    except Exception as error:  # one feed that nobody had thought of keeps no other from being followed
        log.exception("feed %s", display_name(subscription))
        return FeedPoll(state | _state_after_failure(state, error, now, every))
    found = {
        "title": feed.title,
        "moved_to": redact_url(moved) if (moved := feed.moved_to or answer.moved_to) else None,
        "etag": answer.headers.get("ETag"),
        "last_modified": answer.headers.get("Last-Modified"),
        "episodes": len(feed.items),
    }
    every = LONGEST_DAYS * 24 if feed.complete else every
    return FeedPoll(state | found | _state_after_success(subscription, now, every), feed)


def _initial_state(subscription: Subscription) -> dict[str, Any]:
    return {
        "feed": subscription.key,
        "shown": display_name(subscription),
        "title": None,
        "moved_to": None,
        "etag": None,
        "last_modified": None,
        "checked_at": None,
        "due_at": None,
        "failures": 0,
        "message": None,
        "episodes": None,
    }


def _request_headers(state: Mapping[str, Any]) -> dict[str, str]:
    headers = {"If-None-Match": state["etag"], "If-Modified-Since": state["last_modified"]}
    return {"Accept-Encoding": "gzip", **{name: value for name, value in headers.items() if value}}


def _read_body(answer: HttpResponse) -> bytes:
    parts, size = [], 0
    for block in answer.blocks():
        parts.append(block)
        size += len(block)
        if size > LARGEST:
            raise BadInput(f"it has more than {LARGEST:,} bytes")
    return b"".join(parts)


def _error_for_status(answer: HttpResponse, now: datetime.datetime) -> Exception:
    words = f"it answers {status_with_name(answer.status)}"
    wait = retry_after(answer.headers.get("Retry-After"), now=now.timestamp())
    return (_Busy if answer.status in _BUSY else Transient)(words, wait)


def _state_after_success(subscription: Subscription, now: datetime.datetime, hours: float) -> dict[str, Any]:
    early = int(hashlib.sha256(subscription.key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF * _SPREAD
    return {"due_at": now + datetime.timedelta(hours=hours * (1 - early)), "failures": 0, "message": None}


def _state_after_failure(
    state: Mapping[str, Any], error: Exception, now: datetime.datetime, hours: float
) -> dict[str, Any]:
    """Later and later while it fails; a feed that is gone may come back, and is looked for once a week."""
    failures = state["failures"] + 1
    wait = datetime.timedelta(hours=min(hours * 2 ** min(failures - 1, 16), LONGEST_DAYS * 24))
    asked = error.retry_after if isinstance(error, Transient) else None
    if asked is not None:
        wait = max(wait, datetime.timedelta(seconds=min(asked, LONGEST_DAYS * 86_400)))
    return {"due_at": now + wait, "failures": failures, "message": str(error) or type(error).__name__}
