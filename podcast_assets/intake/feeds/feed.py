"""Parsed feeds: the podcast, its episodes and the publisher's rights statements."""

import calendar
import datetime
import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from podcast_assets.common.language_codes import language_code
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.urls import BadUrl, feed_url, resolve_redirect, url_key
from podcast_assets.intake.feeds.enclosures import NoMedia, choose_media
from podcast_assets.intake.feeds.podcasting import parse_feed
from podcast_assets.intake.links import feed_episode_id

_GUIDS = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")
"""Namespace of the guids that are derived from feed URLs (podcast:guid, https://podcasting2.org/docs/podcast-namespace/tags/guid)."""
_YES = {"yes", "true", "1"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST = 4_000  # characters


@dataclass(frozen=True)
class FeedRights:
    """Rights statements of a feed about an episode."""

    license: str | None = None
    license_url: str | None = None
    copyright: str | None = None
    medium: str | None = None
    """podcast:medium: podcast, music, audiobook, …"""
    locked: bool | None = None
    """podcast:locked: no other host may import the feed."""
    blocked: bool = False
    """itunes:block, or podcast:block without an id: the episode must not be listed or downloaded."""
    explicit: bool | None = None


@dataclass(frozen=True)
class FeedItem:
    """An episode of a feed."""

    guid: str
    url: str = field(repr=False)
    rights: FeedRights
    bytes: int | None = None
    """Size declared by the feed, which is often wrong."""
    seconds: float | None = None
    published: datetime.datetime | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """Title, persons, transcripts, chapters and other columns of the URL list."""


@dataclass(frozen=True)
class Feed:
    """A podcast with its episodes, in the feed's order."""

    guid: str
    title: str | None
    language: str | None
    items: tuple[FeedItem, ...]
    complete: bool = False
    """Whether the publisher declares that no episodes will follow."""
    moved_to: str | None = field(default=None, repr=False)
    """URL by itunes:new-feed-url."""
    next_page: str | None = field(default=None, repr=False)
    """URL of the page with older episodes (RFC 5005)."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Reason → number of entries that are no episodes."""

    def row(self, item: FeedItem, feed_url: str) -> dict[str, Any]:
        """Row of an episode in a URL list."""
        about = {
            "url": item.url,
            "podcast_guid": self.guid,
            "guid": item.guid,
            "podcast": self.title,
            "language": self.language,
            "license": item.rights.license or item.rights.license_url,
            "license_url": item.rights.license_url,
            "copyright": item.rights.copyright,
            "medium": item.rights.medium,
            "explicit": item.rights.explicit,
            "published": item.published.isoformat() if item.published else None,
            "declared_seconds": item.seconds,
            "feed": redact_url(feed_url),
            **item.about,
        }
        return {name: value for name, value in about.items() if value not in (None, [], "")}

    def episode_id(self, item: FeedItem) -> str:
        """Id of an episode, independent of where its audio is hosted."""
        return feed_episode_id(self.guid, item.guid)


def read_feed(data: bytes, url: str, content_type: str | None = None, base: str | None = None) -> Feed:
    """Parse a feed.

    Args:
        data: content of the feed.
        url: URL of the subscription.
        content_type: media type declared by the server.
        base: URL that the content came from after all redirects; None for that of the subscription. Relative addresses are
            resolved against it.

    Raises:
        NotAFeed: the content is not a feed.
    """
    base = base or url
    found = parse_feed(data, content_type)
    channel = found["feed"]
    defaults = _parse_rights(channel, FeedRights())
    people = _parse_people(channel)
    items: dict[str, FeedItem] = {}
    passed_over = Counter[str]()
    for entry in found["entries"]:
        if entry.get("podcast_live"):
            passed_over["a live item"] += 1
            continue
        try:
            item = _parse_item(entry, base, defaults, people)
        except NoMedia as reason:
            passed_over[str(reason)] += 1
            continue
        passed_over["an episode that is listed twice"] += not add_item(items, item)
    moved = _clean_text(channel.get("itunes_new-feed-url"))
    return Feed(
        guid=_clean_text(channel.get("podcast_guid")) or guid_from_url(url),
        title=_clean_text(channel.get("title")),
        language=language_code(_clean_text(channel.get("language"))),
        items=tuple(items.values()),
        complete=_parse_yes(channel.get("itunes_complete")) is True,
        moved_to=_join_url(base, feed_url(moved)) if moved else None,
        next_page=_next_page(channel, base),
        passed_over={reason: number for reason, number in passed_over.items() if number},
    )


def add_item(items: dict[str, FeedItem], item: FeedItem) -> bool:
    """Add an episode by its guid; return whether it is new.

    A guid that several episodes share identifies none of them: later ones are identified by their URL too.
    """
    if item.guid in items and items[item.guid].url != item.url:
        item = replace(item, guid=f"{item.guid} {url_key(item.url)[:16]}")
    return items.setdefault(item.guid, item) is item


def guid_from_url(url: str) -> str:
    """Derive a podcast's guid from the URL of its feed, without scheme and trailing slashes."""
    return str(uuid.uuid5(_GUIDS, url.strip().partition("://")[2].rstrip("/")))


def parse_duration(text: str | None) -> float | None:
    """Parse an itunes:duration to seconds: 3600, 60:00 or 1:00:00; None for anything else."""
    if text is None or not re.fullmatch(r"[0-9]{1,7}(:[0-9]{1,2}){0,2}(\.[0-9]{1,9})?", text.strip()):
        return None
    total = 0.0
    for part in text.strip().split(":"):
        total = total * 60 + float(part)
    return total or None


def _next_page(channel: Mapping[str, Any], base: str) -> str | None:
    """URL of the next page of a paged feed, or of the previous archive of an archived one (RFC 5005, sections 3 and 4)."""
    links = {link.get("rel"): link.get("href") for link in reversed(channel.get("links", ()))}
    found = links.get("next") or links.get("prev-archive")
    return _join_url(base, found) if found else None


def _parse_item(entry: dict[str, Any], base: str, defaults: FeedRights, people: list[dict[str, str]]) -> FeedItem:
    media = choose_media(entry, base)
    published = entry.get("published_parsed") or dict.get(
        entry, "updated_parsed"
    )  # feedparser's own get warns about this fallback
    return FeedItem(
        guid=_clean_text(entry.get("id")) or media.url,
        url=media.url,
        rights=_parse_rights(entry, defaults),
        bytes=int(media.length) if re.fullmatch(r"0*[1-9][0-9]{0,14}", media.length) else None,
        seconds=parse_duration(_clean_text(entry.get("itunes_duration")) or _clean_text(media.duration)),
        published=_parse_date(published),
        about={
            "title": _clean_text(entry.get("title")),
            "link": _clean_text(entry.get("link")),
            "season": _clean_text(entry.get("itunes_season")),
            "episode": _clean_text(entry.get("itunes_episode")),
            "episode_type": _clean_text(entry.get("itunes_episodetype")),
            "persons": _parse_people(entry) or people,
            "transcripts": _parse_links(entry, "transcript", base),
            "chapters": next((c["url"] for c in _parse_links(entry, "chapters", base)), None),
        },
    )


def _parse_links(entry: dict[str, Any], tag: str, base: str) -> list[dict[str, str]]:
    """Links of a Podcasting 2.0 tag, with absolute URLs."""
    found = ((_join_url(base, t["url"]), t) for t in entry.get(f"podcast_{tag}_all", ()) if t.get("url"))
    return [{"url": url} | {k: t[k] for k in ("type", "language", "rel") if k in t} for url, t in found if url]


def _join_url(base: str, url: str) -> str | None:
    try:
        return resolve_redirect(base, url)
    except BadUrl:
        return None


def _parse_rights(found: Mapping[str, Any], defaults: FeedRights) -> FeedRights:
    """Rights statements of a channel or an episode, with defaults for those that it lacks."""
    licences = found.get("podcast_license_all") or [{}]
    linked = next((link["href"] for link in found.get("links", ()) if link.get("rel") == "license"), None)
    blocks = found.get("podcast_block_all", ())
    # a block with an id applies to one service, a block without an id to all of them
    blocked = any(not b.get("id") and _parse_yes(b.get("text")) for b in blocks) or _parse_yes(found.get("block_text"))
    locked = found.get("podcast_locked_all") or [{}]
    return FeedRights(
        license=_clean_text(licences[0].get("text")) or defaults.license,
        license_url=_clean_text(licences[0].get("url")) or linked or defaults.license_url,
        copyright=_clean_text(found.get("rights")) or defaults.copyright,
        medium=_clean_text(found.get("podcast_medium")) or defaults.medium,
        locked=defaults.locked if (lock := _parse_yes(locked[0].get("text"))) is None else lock,
        blocked=bool(blocked) or defaults.blocked,
        explicit=defaults.explicit if (explicit := _parse_yes(found.get("explicit_text"))) is None else explicit,
    )


def _parse_people(found: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {"name": p["text"], **{k: p[k] for k in ("role", "group", "href") if p.get(k)}}
        for p in found.get("podcast_person_all", ())
        if p.get("text")
    ]


def _parse_date(parts: Any) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromtimestamp(calendar.timegm(parts), datetime.UTC) if parts else None
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def _parse_yes(value: Any) -> bool | None:
    """Whether a value means yes; None if there is no value."""
    text = _clean_text(value)
    return None if text is None else text.lower() in _YES


def _clean_text(value: Any) -> str | None:
    """A value as one line of limited length without control characters; None if it is not text or empty."""
    return " ".join(_CONTROL.sub(" ", value).split())[:_LONGEST] or None if isinstance(value, str) else None
