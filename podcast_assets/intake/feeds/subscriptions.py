"""Subscribed feeds: `feeds/*.opml`, `*.csv`, `*.parquet`, and PodcastIndex's dump, `*.db`, in the store."""

import contextlib
import functools
import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.urls import feed_url, url_key
from podcast_assets.intake.feeds.opml import OpmlFeeds, read_opml
from podcast_assets.intake.metadata import first_text
from podcast_assets.intake.table_reader import limit_for, table_reader
from podcast_assets.intake.tables import TABLE_SUFFIXES, read_table_rows
from podcast_assets.store.backends.protocol import Entry
from podcast_assets.store.store import Store

FOLDER = "feeds"
URL_COLUMNS = ("url", "feed_url", "feed", "rss", "xmlurl")
"""Columns that may hold a feed's URL."""
_SUFFIXES = TABLE_SUFFIXES | {".opml", ".db"}
_MOST = 1e6
"""Largest number of hours or episodes that is taken for one."""
_NO_FEEDS = "it contains no feeds"


@dataclass(frozen=True)
class Subscription:
    """A subscribed feed, with the columns of its list."""

    url: str = field(repr=False)
    language: str | None = None
    """Overrides the feed's own language."""
    license: str | None = None
    """Overrides the feed's own licence: what the publisher agreed to."""
    hours: float | None = None
    """Hours between two polls."""
    newest: int | None = None
    """Number of latest episodes to take; None for the default."""
    min_speakers: int | None = None
    max_speakers: int | None = None
    """Bounds of the number of speakers of each episode; None leaves them to the settings."""
    diarizer: str | None = None
    """Diarizer of each episode; None leaves it to the settings."""
    take_blocked: bool = False
    """Whether to ignore itunes:block and podcast:block, because the publisher agreed."""

    @property
    def key(self) -> str:
        """Hash that identifies the feed without revealing its URL."""
        return url_key(self.url)


@dataclass
class Subscriptions:
    """All subscribed feeds, and errors in their lists."""

    feeds: dict[str, Subscription] = field(default_factory=dict)
    """By key."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Name of a list → error message."""
    signature: str = ""
    """Changes when a list changes."""


def lists_signature(store: Store) -> str:
    """Signature of the lists, by name, size, time and, if the store reports it, content."""
    lines = [f"{e.key} {e.bytes} {e.modified} {e.content}" for e in _find_lists(store)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read_subscriptions(store: Store) -> Subscriptions:
    """Read all lists of feeds; of several entries for one feed the first counts.

    Raises:
        OSError: the store cannot be listed.
    """
    return _read_lists(store, lists_signature(store))


@functools.lru_cache(maxsize=1)
def _read_lists(store: Store, version: str) -> Subscriptions:
    """Read the lists, cached until their signature changes: else every tick of the sensor would parse thousands of feeds."""
    result = Subscriptions(signature=version)
    for entry in _find_lists(store):
        if entry.trouble:
            result.troubles[_list_name(entry)] = entry.trouble
            continue
        try:
            with store.local_copy(entry.key) as local:
                limit = limit_for("it", local.stat().st_size)
                found = table_reader.call(limit, read_list, _list_name(entry), local)
        except BadInput as error:
            result.troubles[_list_name(entry)] = str(error)
            continue
        if found.trouble:
            result.troubles[_list_name(entry)] = found.trouble
        for row in found.rows:
            url = first_text(row, *URL_COLUMNS)
            if url and str(row.get("dead") or 0) in ("0", "0.0", "False", "false"):
                subscription = _make_subscription(feed_url(url), row)
                result.feeds.setdefault(subscription.key, subscription)
    return result


def _find_lists(store: Store) -> list[Entry]:
    found = (e for e in store.list(FOLDER) if e.key.count("/") == 1 and not _list_name(e).startswith("."))
    return sorted((e for e in found if PurePosixPath(e.key).suffix.lower() in _SUFFIXES), key=lambda e: e.key)


def _list_name(entry: Entry) -> str:
    return entry.key.rsplit("/", 1)[-1]


def _make_subscription(url: str, row: Mapping[str, Any]) -> Subscription:
    def number(name: str) -> float | None:
        value = first_text(row, name)
        try:
            return float(value) if value is not None and 0 < float(value) <= _MOST else None
        except ValueError:
            return None

    newest = number("newest")

    def count(name: str) -> int | None:
        value = number(name)
        return int(value) if value and value >= 1 else None

    return Subscription(
        url=url,
        language=first_text(row, "language"),
        license=first_text(row, "license"),
        hours=number("hours"),
        newest=int(newest) if newest else None,
        min_speakers=count("min_speakers") or count("num_speakers"),
        max_speakers=count("max_speakers") or count("num_speakers"),
        diarizer=first_text(row, "diarizer"),
        take_blocked=str(row.get("take_blocked") or "").lower() in ("true", "yes", "1"),
    )


@dataclass(frozen=True)
class ListOfFeeds:
    """Rows of a list of feeds."""

    rows: list[dict[str, Any]]
    trouble: str | None = None
    """What deserves a look in it although it could be read."""


def read_list(name: str, local: Path) -> ListOfFeeds:
    """Read the rows of a list of feeds.

    Args:
        name: its name, whose suffix determines the format.
        local: where it lies.

    Raises:
        BadInput: the list cannot be read, or contains no feeds.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".opml":
        found = read_opml(local.read_bytes())
        if not found.urls:
            raise BadInput(f"it contains no feeds ({found.damage})" if found.damage else _NO_FEEDS)
        return ListOfFeeds([{"url": url} for url in found.urls], describe_opml(found))
    if suffix == ".db":
        try:
            rows = _read_podcastindex(str(local))
        except sqlite3.Error as error:
            raise BadInput(f"it cannot be read as db: {first_line(error)}") from error
    else:
        data = local.read_bytes()
        rows = read_table_rows(name, data, URL_COLUMNS) if data.strip() else []
        if rows and not rows[0].keys() & set(URL_COLUMNS):
            raise BadInput(f"it has no column {URL_COLUMNS[0]!r}; its columns are: {', '.join(list(rows[0])[:12])}")
    if not rows:
        raise BadInput(_NO_FEEDS)
    return ListOfFeeds(rows)


def describe_opml(found: OpmlFeeds) -> str | None:
    """Say what deserves a look in an OPML list; None if there is nothing."""
    parts = [f"it is not well-formed XML ({found.damage})"] if found.damage else []
    parts += [f"{found.without_address} of its feeds have no address"] if found.without_address else []
    return f"{'; '.join(parts)}; {len(found.urls)} feeds were read" if parts else None


def _read_podcastindex(path: str) -> list[dict[str, Any]]:
    """Read live feeds from the table `podcasts` (https://public.podcastindex.org/podcastindex_feeds.db.tgz)."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return [{"url": url} for (url,) in database.execute("select url from podcasts where dead = 0 order by id")]


def display_name(subscription: Subscription) -> str:
    """Name of a feed for messages: its redacted URL."""
    return redact_url(subscription.url)
