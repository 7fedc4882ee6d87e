"""State of a feed between two polls, a row of `feed_state/feeds.parquet`."""

import datetime
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_text, redact_url
from podcast_assets.intake.downloads.http import Transient
from podcast_assets.intake.feeds.feed import Feed
from podcast_assets.intake.feeds.subscriptions import Subscription, display_name
from podcast_assets.store.schema_beside import FEED_STATE

LONGEST_DAYS = 7.0
"""Days between two polls of a feed that fails or is complete."""
_SPREAD = 0.1
"""Share of the interval by which a feed is polled earlier, to spread feeds that were added together."""


@dataclass(frozen=True)
class FetchedFeed:
    """A feed with what is kept of its requests."""

    feed: Feed
    address: str
    """Where it is now."""
    etag: str | None
    last_modified: str | None
    pages: int
    """Number of pages that were read."""
    continue_at: str | None = None
    """Address of the page with which the next poll continues; None if all pages were read."""
    known_from_here: bool = False
    """Whether further pages were not read, because all episodes of a page were known."""
    more: bool = False
    """Whether further pages were not read, because no more episodes are wanted."""
    announced: str | None = None
    """Address to which it says that it moved, and which is no feed."""
    error: Transient | BadInput | None = None
    """Why a page could not be read."""
    note: str | None = None
    """What deserves a look although the feed was read."""


def state_of_feed(subscription: Subscription, state: Mapping[str, Any], found: FetchedFeed) -> dict[str, Any]:
    """State that describes the feed. Where only some of its pages were read, the numbers of the last poll are kept or continued."""
    episodes, pages, passed_over = len(found.feed.items), found.pages, Counter(found.feed.passed_over)
    before = Counter({item["reason"]: item["entries"] for item in state["passed_over"] or ()})
    if state["continue_at"]:
        episodes, pages, passed_over = episodes + state["episodes"], pages + state["pages"], passed_over + before
    elif found.known_from_here:
        episodes, pages, passed_over = (
            max(episodes, state["episodes"]),
            max(pages, state["pages"]),
            passed_over | before,
        )
    address = state["address"] if state["continue_at"] else found.address
    moved = address if address != subscription.url else None
    return {
        "title": found.feed.title,
        "moved_to": redact_url(shown) if (shown := found.announced or moved) else None,
        "address": moved,
        # of a feed that is read in part, all of the first page is wanted again
        "etag": None if found.continue_at or state["continue_at"] else found.etag,
        "last_modified": None if found.continue_at or state["continue_at"] else found.last_modified,
        "episodes": episodes,
        "pages": None if found.more else pages,
        "podcast_guid": found.feed.guid,
        "continue_at": found.continue_at,
        "passed_over": [
            {"reason": r, "entries": n} for r, n in sorted(passed_over.items(), key=lambda i: (-i[1], i[0]))
        ],
    }


def initial_state(subscription: Subscription) -> dict[str, Any]:
    """State of a feed that was never polled."""
    known = {"feed": subscription.key, "shown": display_name(subscription), "failures": 0}
    return dict.fromkeys(FEED_STATE) | known


def state_after_success(subscription: Subscription, now: datetime.datetime, hours: float) -> dict[str, Any]:
    """State after a poll without an error. Feeds that were added together are polled apart after a while."""
    jitter = int(hashlib.sha256(subscription.key.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF * _SPREAD
    return {"due_at": now + datetime.timedelta(hours=hours * (1 - jitter)), "failures": 0, "message": None}


def state_after_failure(
    state: Mapping[str, Any], error: Exception, now: datetime.datetime, hours: float
) -> dict[str, Any]:
    """State with exponential backoff. A feed that is gone may come back and is polled once a week."""
    failures = state["failures"] + 1
    wait = datetime.timedelta(hours=min(hours * 2 ** min(failures - 1, 16), LONGEST_DAYS * 24))
    requested = error.retry_after if isinstance(error, Transient) else None
    if requested is not None:
        wait = max(wait, datetime.timedelta(seconds=min(requested, LONGEST_DAYS * 86_400)))
    return {"due_at": now + wait, "failures": failures, "message": redact_text(str(error)) or type(error).__name__}
