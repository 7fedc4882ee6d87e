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
"""Maximum size of a feed, bytes; the largest published ones have about ten million."""
SECONDS = 20.0
"""Time limit for one feed, s; a tick of the sensor has 60 s."""
LONGEST_DAYS = 7.0
"""Days between two polls of a feed that fails or is complete."""
_SPREAD = 0.1
"""Share of the interval by which a feed is polled earlier, to spread feeds that were added together."""
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
) -> FeedPoll:
    """Request a feed if it has changed.

    Args:
        web: HTTP client.
        subscription: the feed.
        before: its state after the last poll; None for the first poll.
        now: current time.
        hours: default for the hours between two polls.
    """
    state: dict[str, Any] = dict(before) if before else _initial_state(subscription)
    state |= {"checked_at": now}
    interval = subscription.hours or hours
    try:
        with web.get(subscription.url, _request_headers(state), TimeBudget(SECONDS)) as response:
            if response.status == HTTPStatus.NOT_MODIFIED:
                return FeedPoll(state | _state_after_success(subscription, now, interval))
            if response.status != HTTPStatus.OK:
                raise _error_for_status(response, now)
            data = _read_body(response)
            feed = read_feed(data, subscription.url, response.headers.get("Content-Type"))
    except _Busy as error:
        return FeedPoll(state | _state_after_failure(state, error, now, interval), busy=True)
    except (Transient, BadInput) as error:
        return FeedPoll(state | _state_after_failure(state, error, now, interval))
    except Exception as error:  # an unexpected feed must not stop the others
        log.exception("feed %s", display_name(subscription))
        return FeedPoll(state | _state_after_failure(state, error, now, interval))
    changes = {
        "title": feed.title,
        "moved_to": redact_url(moved) if (moved := feed.moved_to or response.moved_to) else None,
        "etag": response.headers.get("ETag"),
        "last_modified": response.headers.get("Last-Modified"),
        "episodes": len(feed.items),
    }
    interval = LONGEST_DAYS * 24 if feed.complete else interval
    return FeedPoll(state | changes | _state_after_success(subscription, now, interval), feed)


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


def _read_body(response: HttpResponse) -> bytes:
    parts, size = [], 0
    for block in response.blocks():
        parts.append(block)
        size += len(block)
        if size > LARGEST:
            raise BadInput(f"it has more than {LARGEST:,} bytes")
    return b"".join(parts)


def _error_for_status(response: HttpResponse, now: datetime.datetime) -> Exception:
    message = f"the server answered {status_with_name(response.status)}"
    wait = retry_after(response.headers.get("Retry-After"), now=now.timestamp())
    return (_Busy if response.status in _BUSY else Transient)(message, wait)


def _state_after_success(subscription: Subscription, now: datetime.datetime, hours: float) -> dict[str, Any]:
    jitter = int(hashlib.sha256(subscription.key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF * _SPREAD
    return {"due_at": now + datetime.timedelta(hours=hours * (1 - jitter)), "failures": 0, "message": None}


def _state_after_failure(
    state: Mapping[str, Any], error: Exception, now: datetime.datetime, hours: float
) -> dict[str, Any]:
    """State with exponential backoff. A feed that is gone may come back and is polled once a week."""
    failures = state["failures"] + 1
    wait = datetime.timedelta(hours=min(hours * 2 ** min(failures - 1, 16), LONGEST_DAYS * 24))
    requested = error.retry_after if isinstance(error, Transient) else None
    if requested is not None:
        wait = max(wait, datetime.timedelta(seconds=min(requested, LONGEST_DAYS * 86_400)))
    return {"due_at": now + wait, "failures": failures, "message": str(error) or type(error).__name__}
