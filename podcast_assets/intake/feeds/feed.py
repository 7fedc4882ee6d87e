"""Parsed feeds: the podcast, its episodes and the publisher's rights statements."""

import calendar
import datetime
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from podcast_assets.common.language_codes import language_code
from podcast_assets.intake.downloads.urls import BadUrl, redact_url, resolve_redirect, url_key
from podcast_assets.intake.feeds.podcasting import parse_feed
from podcast_assets.intake.links import episode_id
from podcast_assets.intake.unpack import MEDIA_SUFFIXES

_GUIDS = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")
"""Namespace of the guids that podcasts have by their URL (podcast:guid, https://podcasting2.org/docs/podcast-namespace/tags/guid)."""
_YES = {"yes", "true", "1"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST = 4_000


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
    """itunes:block, or podcast:block for everybody: it is not to be listed or taken."""
    explicit: bool | None = None


@dataclass(frozen=True)
class FeedItem:
    """An episode of a feed."""

    guid: str
    url: str = field(repr=False)
    rights: FeedRights
    bytes: int | None = None
    """As the feed says, which is often wrong."""
    seconds: float | None = None
    published: datetime.datetime | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """Title, people, transcripts, chapters, …, as they go into a list."""


@dataclass(frozen=True)
class Feed:
    """A podcast with its episodes, in the feed's order."""

    guid: str
    title: str | None
    language: str | None
    items: tuple[FeedItem, ...]
    complete: bool = False
    """The publisher says that nothing will follow."""
    moved_to: str | None = field(default=None, repr=False)

    def row(self, item: FeedItem, feed_url: str) -> dict[str, Any]:
        """An episode as a row of a list of URLs."""
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
        """The id of an episode wherever it lies."""
        return episode_id(self.guid, item.guid)


def read_feed(data: bytes, url: str, content_type: str | None = None) -> Feed:
    """Read a feed.

    Args:
        data: as it came.
        url: that it was subscribed under.
        content_type: as the server said.

    Raises:
        NotAFeed: it is none.
    """
    found = parse_feed(data, content_type)
    channel = found["feed"]
    general = _parse_rights(channel, FeedRights())
    people = _parse_people(channel)
    items: dict[str, FeedItem] = {}
    for entry in found["entries"]:
        item = None if entry.get("podcast_live") else _parse_item(entry, url, general, people)
        if item is None:
            continue
        if item.guid in items and items[item.guid].url != item.url:
            # a guid that several episodes share is none: its further ones are known by where they lie
            item = replace(item, guid=f"{item.guid} {url_key(item.url)[:16]}")
        items.setdefault(item.guid, item)
    moved = channel.get("itunes_new-feed-url")
    return Feed(
        guid=_clean_text(channel.get("podcast_guid")) or guid_from_url(url),
        title=_clean_text(channel.get("title")),
        language=language_code(_clean_text(channel.get("language"))),
        items=tuple(items.values()),
        complete=_parse_yes(channel.get("itunes_complete")) is True,
        moved_to=_clean_text(moved),
    )


def guid_from_url(url: str) -> str:
    """The guid that a podcast has by the URL of its feed, without scheme and trailing slashes."""
    return str(uuid.uuid5(_GUIDS, url.strip().partition("://")[2].rstrip("/")))


def parse_duration(text: str | None) -> float | None:
    """Parse an itunes:duration to seconds: 3600, 60:00 or 1:00:00; None for anything else."""
    if text is None or not re.fullmatch(r"[0-9]{1,7}(:[0-9]{1,2}){0,2}(\.[0-9]{1,9})?", text.strip()):
        return None
    total = 0.0
    for part in text.strip().split(":"):
        total = total * 60 + float(part)
    return total or None


def _parse_item(entry: dict[str, Any], base: str, general: FeedRights, people: list[dict[str, str]]) -> FeedItem | None:
    media = [e for e in entry.get("enclosures", ()) if e.get("href") and _is_media(e)]
    if not media:
        return None
    url = _join_url(base, media[0]["href"])
    if url is None:
        return None
    length = str(media[0].get("length") or "").strip()
    published = entry.get("published_parsed") or dict.get(entry, "updated_parsed")  # feedparser's own get warns
    return FeedItem(
        guid=_clean_text(entry.get("id")) or url,
        url=url,
        rights=_parse_rights(entry, general),
        bytes=int(length) if re.fullmatch(r"0*[1-9][0-9]{0,14}", length) else None,
        seconds=parse_duration(_clean_text(entry.get("itunes_duration"))),
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
    """What tags of Podcasting 2.0 lead to."""
    found = ((_join_url(base, t["url"]), t) for t in entry.get(f"podcast_{tag}_all", ()) if t.get("url"))
    return [{"url": url} | {k: t[k] for k in ("type", "language", "rel") if k in t} for url, t in found if url]


def _join_url(base: str, url: str) -> str | None:
    try:
        return resolve_redirect(base, url)
    except BadUrl:
        return None


def _is_media(enclosure: Mapping[str, Any]) -> bool:
    kind = str(enclosure.get("type") or "").lower()
    path = redact_url(enclosure["href"]).lower()
    return kind.startswith(("audio/", "video/")) or any(path.endswith(s) for s in MEDIA_SUFFIXES)


def _parse_rights(found: Mapping[str, Any], general: FeedRights) -> FeedRights:
    """What a channel or an episode says itself, and else what was said before it."""
    licences = found.get("podcast_license_all") or [{}]
    linked = next((link["href"] for link in found.get("links", ()) if link.get("rel") == "license"), None)
    blocks = found.get("podcast_block_all", ())
    # a block with an id is one service's; without one it is everybody's
    blocked = any(not b.get("id") and _parse_yes(b.get("text")) for b in blocks) or _parse_yes(found.get("block_text"))
    locked = found.get("podcast_locked_all") or [{}]
    return FeedRights(
        license=_clean_text(licences[0].get("text")) or general.license,
        license_url=_clean_text(licences[0].get("url")) or linked or general.license_url,
        copyright=_clean_text(found.get("rights")) or general.copyright,
        medium=_clean_text(found.get("podcast_medium")) or general.medium,
        locked=general.locked if (lock := _parse_yes(locked[0].get("text"))) is None else lock,
        blocked=bool(blocked) or general.blocked,
        explicit=general.explicit if (explicit := _parse_yes(found.get("explicit_text"))) is None else explicit,
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
    """One line without what would steer a terminal, of a length that people write."""
    return " ".join(_CONTROL.sub(" ", value).split())[:_LONGEST] or None if isinstance(value, str) else None
