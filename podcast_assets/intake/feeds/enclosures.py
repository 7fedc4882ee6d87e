"""The audio of a feed's episode, among its enclosures and what some feeds have in their place.

Types and names sort out only what is certainly something else: many hosts declare audio as `application/octet-stream`, as `mp3`, or
not at all. The bytes decide when the file is downloaded.
"""

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Any

from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.urls import PORTS, BadUrl, resolve_redirect
from podcast_assets.intake.file_names import MEDIA_SUFFIXES

_TYPES = mimetypes.MimeTypes()
"""Python's own list of suffixes, the same on every machine."""
_MEDIA_TYPES = frozenset(f"application/{name}" for name in "ogg x-ogg mp4 x-mpeg x-matroska vnd.rn-realmedia".split())
_OTHER_GROUPS = frozenset({"image", "text", "font", "model", "message", "multipart", "chemical"})
_OTHER_TYPES = frozenset(
    (
        "pdf zip json xml javascript ecmascript x-javascript rtf postscript epub+zip x-bittorrent x-tar gzip x-gzip x-bzip2 "
        "x-7z-compressed x-rar-compressed msword x-shockwave-flash x-mpegurl mpegurl dash+xml java-archive x-httpd-php wasm sql"
    ).split()
)
"""Types of the group `application` that are no audio. `vnd.…`, `…+xml` and `…+json` are none either."""


class _Rank(IntEnum):
    MEDIA = 0
    UNKNOWN = 1
    OTHER = 2


@dataclass(frozen=True)
class Media:
    """File of an episode, as its feed describes it."""

    url: str = field(repr=False)
    length: str
    """Size as the feed spells it."""
    duration: str | None
    """Length as the feed spells it; only media:content has one."""


class NoMedia(Exception):
    """An entry of a feed is no episode; the message says why, in words that are the same for all such entries."""


def choose_media(entry: Mapping[str, Any], base: str) -> Media:
    """Choose the file of an entry: the first that is audio or video by its type or name, else the first that may be.

    Args:
        entry: entry as feedparser gives it.
        base: URL that relative addresses are resolved against.

    Raises:
        NoMedia: the entry names no file that may be audio or video.
    """
    reason = "no enclosure"
    best: tuple[_Rank, Media] | None = None
    for candidate in _candidates(entry):
        try:
            url = resolve_redirect(base, candidate["href"])
        except BadUrl:
            url = ""
        if url.partition(":")[0].lower() not in PORTS:
            reason = "an enclosure whose address is neither http nor https"
            continue
        kind = _media_type(candidate)
        rank = _rank(kind, redact_url(url))
        if rank == _Rank.OTHER:
            reason = f"an enclosure that is {_described(kind, url)}"
        elif best is None or rank < best[0]:
            length = candidate.get("length") or candidate.get("filesize")
            best = rank, Media(url, str(length or "").strip(), candidate.get("duration"))
    if best is None:
        raise NoMedia(reason)
    return best[1]


def _candidates(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Files of an entry, the usual places first, each with `href` and perhaps `type`."""
    yield from (e for e in entry.get("enclosures", ()) if e.get("href"))
    for content in entry.get("media_content", ()):  # Media RSS, also inside media:group
        if content.get("url") and (content.get("medium") or "").lower() not in ("image", "document", "executable"):
            medium = content.get("medium")
            yield {"type": f"{medium}/" if medium else "", **content, "href": content["url"]}
    for content in entry.get("content", ()):  # Atom's out-of-line content
        if content.get("src"):
            yield {"href": content["src"], "type": content.get("type")}
    yield from entry.get("podcast_source_all", ())
    for link in entry.get("links", ()):  # Atom's links of another relation, and RSS's link to the file itself
        href = link.get("href")
        if (
            href
            and link.get("rel") in ("alternate", "related", "via")
            and _rank(_media_type(link), redact_url(href)) == 0
        ):
            yield link


def _media_type(candidate: Mapping[str, Any]) -> str:
    return str(candidate.get("type") or "").partition(";")[0].strip().lower()


def _rank(kind: str, name: str) -> _Rank:
    """Judge a file by its type and its name, of which either can show that it is audio or video."""
    suffix = PurePosixPath(name).suffix.lower()
    by_type = _rank_of_type(kind)
    if suffix in MEDIA_SUFFIXES or by_type == _Rank.MEDIA:
        return _Rank.MEDIA
    return max(by_type, _rank_of_type(_TYPES.guess_type(f"x{suffix}")[0] or ""))


def _rank_of_type(kind: str) -> _Rank:
    group, _, name = kind.partition("/")
    if group in ("audio", "video") or kind in _MEDIA_TYPES or f".{kind}" in MEDIA_SUFFIXES:
        return _Rank.MEDIA
    if group in _OTHER_GROUPS or (group == "application" and _is_other_application(name)):
        return _Rank.OTHER
    return _Rank.UNKNOWN


def _is_other_application(name: str) -> bool:
    return name in _OTHER_TYPES or name.startswith("vnd.") or name.endswith(("+xml", "+json"))


def _described(kind: str, url: str) -> str:
    if _rank_of_type(kind) == _Rank.OTHER:
        return kind[:60]
    return f"a {PurePosixPath(redact_url(url)).suffix.lower()[:12]} file"
