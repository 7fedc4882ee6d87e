"""Subscribed feeds: `feeds/*.opml`, `*.csv`, `*.parquet`, and PodcastIndex's dump, `*.db`, in the store."""

import contextlib
import functools
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from xml.parsers import expat

import polars as pl

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.intake.downloads.urls import redact_url, url_key
from podcast_assets.intake.metadata import first_text
from podcast_assets.store.backends.protocol import Entry
from podcast_assets.store.store import Store

FOLDER = "feeds"
_URL = ("url", "feed_url", "feed", "rss", "xmlurl")
"""Columns that may hold a feed's URL; upper and lower case are equal."""


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
        try:
            with store.local_copy(entry.key) as local:
                rows = list(_read_rows(local.suffix.lower(), local.read_bytes, str(local)))
        except BadInput as error:
            result.troubles[_list_name(entry)] = str(error)
            continue
        for row in rows:
            lowered = {str(k).lower(): v for k, v in row.items()}
            url = first_text(lowered, *_URL)
            if url and str(lowered.get("dead") or 0) in ("0", "False", "false"):
                subscription = _make_subscription(url.strip(), lowered)
                result.feeds.setdefault(subscription.key, subscription)
        if not rows:
            result.troubles[_list_name(entry)] = "it contains no feeds"
    return result


def _find_lists(store: Store) -> list[Entry]:
    found = (e for e in store.list(FOLDER) if e.key.count("/") == 1 and not _list_name(e).startswith("."))
    return sorted((e for e in found if PurePosixPath(e.key).suffix.lower() in _READERS), key=lambda e: e.key)


def _list_name(entry: Entry) -> str:
    return entry.key.rsplit("/", 1)[-1]


def _make_subscription(url: str, row: dict[str, Any]) -> Subscription:
    def number(name: str) -> float | None:
        value = first_text(row, name)
        try:
            return float(value) if value is not None and float(value) > 0 else None
        except ValueError:
            return None

    newest = number("newest")
    return Subscription(
        url=url,
        language=first_text(row, "language"),
        license=first_text(row, "license"),
        hours=number("hours"),
        newest=int(newest) if newest else None,
        take_blocked=str(row.get("take_blocked") or "").lower() in ("true", "yes", "1"),
    )


def _read_rows(suffix: str, read: Any, path: str) -> Iterable[Mapping[str, Any]]:
    try:
        return _READERS[suffix](path if suffix == ".db" else read())
    except (
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        sqlite3.Error,
        expat.ExpatError,
        ValueError,
    ) as error:
        reason = first_line(error)
        raise BadInput(f"it cannot be read as {suffix[1:]}: {reason}") from error


def _read_opml(data: bytes) -> list[dict[str, str]]:
    """Read outlines with an `xmlUrl` at any depth (https://opml.org/spec2.opml#subscriptionLists)."""
    found: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        lowered = {k.lower(): v for k, v in attributes.items()}
        if name.lower() == "outline" and lowered.get("xmlurl"):
            found.append({"xmlurl": lowered["xmlurl"]})

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(data, True)
    return found


def _read_csv(data: bytes) -> list[dict[str, Any]]:
    return list(pl.read_csv(data, infer_schema=False).iter_rows(named=True)) if data.strip() else []


def _read_parquet(data: bytes) -> list[dict[str, Any]]:
    return list(pl.read_parquet(BytesIO(data)).iter_rows(named=True))


def _read_podcastindex(path: str) -> list[dict[str, Any]]:
    """Read live feeds from the table `podcasts` (https://public.podcastindex.org/podcastindex_feeds.db.tgz)."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return [{"url": url} for (url,) in database.execute("select url from podcasts where dead = 0 order by id")]


_READERS = {".opml": _read_opml, ".csv": _read_csv, ".parquet": _read_parquet, ".db": _read_podcastindex}


def display_name(subscription: Subscription) -> str:
    """Name of a feed for messages: its redacted URL."""
    return redact_url(subscription.url)
