"""The sensor that follows feeds. It starts nothing: what it writes under `incoming/` the sensor `new_batches` finds."""

import datetime
import json
from typing import Any

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.resources import StoreResource

ROUND_SECONDS = 20.0
"""A tick starts no feed later than this. It may take 60 s, and a feed up to 20 s."""


def _load_cursor(cursor: str | None) -> tuple[str, float] | None:
    """Parse the cursor: signature of the feed lists and POSIX time of the next poll; None if unknown.

    A lost cursor only costs one more read of the store.
    """
    try:
        found: dict[str, Any] = json.loads(cursor or "")
        return str(found["lists"]), float(found["next"])
    except (ValueError, KeyError, TypeError):
        return None


@dg.sensor(
    name="due_feeds",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Polls the due feeds listed under feeds/ and adds new episodes as batches under incoming/.",
)
def due_feeds(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason:
    """Fetch the feeds that are due and put their new episodes under `incoming/`."""
    from podcast_assets.intake.feeds.follow import FollowOptions, follow_feeds
    from podcast_assets.intake.feeds.subscriptions import lists_signature, read_subscriptions
    from podcast_assets.stages.download import http_client

    opened_store, now = store.get(), datetime.datetime.now(datetime.UTC)
    before = _load_cursor(context.cursor)
    if before and before[0] == lists_signature(opened_store) and now.timestamp() < before[1]:
        return dg.SkipReason("no feed is due")
    feeds = read_subscriptions(opened_store)
    for name, trouble in feeds.troubles.items():
        context.log.warning(f"feeds/{name}: {trouble}")
    options = FollowOptions(
        hours=settings.feed_hours,
        wait=datetime.timedelta(hours=settings.feed_wait_hours),
        newest=settings.feed_newest,
        at_once=settings.downloads,
        seconds=ROUND_SECONDS,
    )
    done = follow_feeds(opened_store, http_client(settings), feeds, options, now=now)
    for name, message in (done.failed | done.notes).items():
        context.log.warning(f"feed {name}: {message}")
    following = done.next_due.timestamp() if done.next_due else now.timestamp()
    context.update_cursor(json.dumps({"lists": feeds.signature, "next": following}))
    reasons = ", ".join(f"{number} {reason}" for reason, number in done.passed_over.most_common())
    passed_over = f"; passed over: {reasons}" if reasons else ""
    made = f"; batches: {', '.join(done.batches)}" if done.batches else ""
    return dg.SkipReason(
        f"{done.looked} of {len(feeds.feeds)} feeds were due, {done.changed} had changed, {len(done.failed)} failed; "
        f"{done.new_episodes} new episodes{passed_over}{made}"
    )
