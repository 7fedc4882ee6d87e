"""Support for the Podcasting 2.0 namespace in feedparser, which itself keeps only the last of several equal tags.

feedparser is used because it reads real-world feeds: broken XML (with a second, lenient parser), wrong or missing encodings,
RSS 0.9 to 2.0 and Atom, with iTunes, Dublin Core, Media RSS and Creative Commons. podcastparser is faster, but fails at the first
`&nbsp;` and supports a fifth of this namespace.
"""

import re
from io import BytesIO
from typing import Any
from xml.parsers import expat

import feedparser
import feedparser.api
from feedparser.util import FeedParserDict

from podcast_assets.common.errors import BadInput

_URIS = (
    "https://podcastindex.org/namespace/1.0",
    "https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/1.0.md",
)
_WITH_TEXT = ("person", "license", "locked", "block", "txt")
_EMPTY = ("transcript", "chapters")
"""Tags to keep, each as a list of {attributes, text} under `podcast_<tag>_all`. Payment tags such as podcast:value are ignored."""
_MAX_DEPTH, _MAX_ATTRIBUTES = 100, 100
"""Far above what real feeds have. feedparser's time grows with the square of a tag's attributes."""
_MAX_TAGS = 2_000_000
"""A feed of 50 MB has half a million."""
_LONGEST_TAG = re.compile(rb"<[^<>]{100000}")


class NotAFeed(BadInput):
    """The document is not a usable feed."""


class _PodcastingTags:
    """Handlers of tags; feedparser looks them up by name."""

    _live = 0
    _alternate: str | None = None

    def _start_podcast_liveitem(self: Any, attrs: dict[str, str]) -> None:
        """Start a separate entry, so that title, persons and enclosure of a live item do not become the podcast's."""
        self._live += 1
        self.inentry = 1
        self.entries.append(FeedParserDict(podcast_live=True))

    def _end_podcast_liveitem(self: Any) -> None:
        self._live -= 1
        self.inentry = 0

    def _start_enclosure(self: Any, attrs: dict[str, str]) -> None:
        self._resolve(attrs, "url", "href")
        super()._start_enclosure(attrs)  # type: ignore[misc]  # of the parser that this class is mixed into

    def _start_link(self: Any, attrs: dict[str, str]) -> None:
        if attrs.get("rel") == "enclosure":
            attrs.setdefault("type", "")  # feedparser takes it for a page
        super()._start_link(attrs)  # type: ignore[misc]

    def _start_media_content(self: Any, attrs: dict[str, str]) -> None:
        self._resolve(attrs, "url")
        super()._start_media_content(attrs)  # type: ignore[misc]

    def _start_podcast_alternateenclosure(self: Any, attrs: dict[str, str]) -> None:
        self._alternate = attrs.get("type")

    def _start_podcast_source(self: Any, attrs: dict[str, str]) -> None:
        """Keep a file of an alternative enclosure like an enclosure."""
        if attrs.get("uri"):
            source = {"href": attrs["uri"], "type": attrs.get("contenttype") or self._alternate}
            self._resolve(source, "href")
            self._get_context().setdefault("podcast_source_all", []).append(source)

    def _resolve(self: Any, attrs: dict[str, Any], *names: str) -> None:
        """Resolve addresses against xml:base, which feedparser does for links only."""
        for name in names if self.baseuri else ():
            if attrs.get(name):
                attrs[name] = self.resolve_uri(attrs[name])

    def _end_itunes_explicit(self: Any) -> None:
        """Keep the raw text: feedparser does not know `true` and `false`."""
        self._get_context()["explicit_text"] = self.pop("itunes_explicit")

    def _end_itunes_block(self: Any) -> None:
        self._get_context()["block_text"] = self.pop("itunes_block")


def _start_handler(tag: str, self: Any, attrs: dict[str, str]) -> None:
    self._get_context().setdefault(f"podcast_{tag}_all", []).append({k: v for k, v in attrs.items() if ":" not in k})
    if tag in _WITH_TEXT:
        self.push(f"podcast_{tag}", 1)


def _end_handler(tag: str, self: Any) -> None:
    text = self.pop(f"podcast_{tag}") if tag in _WITH_TEXT else None
    found = self._get_context().get(f"podcast_{tag}_all")
    if found and text:
        found[-1]["text"] = text.strip()


for _tag in (*_WITH_TEXT, *_EMPTY):
    setattr(_PodcastingTags, f"_start_podcast_{_tag}", lambda self, attrs, tag=_tag: _start_handler(tag, self, attrs))
    setattr(_PodcastingTags, f"_end_podcast_{_tag}", lambda self, tag=_tag: _end_handler(tag, self))

_NAMESPACES = feedparser.api.StrictFeedParser.namespaces | dict.fromkeys(_URIS, "podcast")
_STRICT, _LOOSE = (
    type(f"Podcasting{base.__name__}", (_PodcastingTags, base), {"namespaces": _NAMESPACES, "_matchnamespaces": {}})
    for base in (feedparser.api.StrictFeedParser, feedparser.api.LooseFeedParser)
)
# feedparser composes its parsers on import and has no other hook for a namespace
feedparser.api.StrictFeedParser, feedparser.api.LooseFeedParser = _STRICT, _LOOSE


def parse_feed(data: bytes, content_type: str | None) -> dict[str, Any]:
    """Parse a feed with feedparser, including the Podcasting 2.0 tags.

    Nothing outside the data is read: feedparser removes entity declarations, and expat limits their expansion.

    Args:
        data: content of the feed.
        content_type: media type declared by the server, possibly with the encoding.

    Raises:
        NotAFeed: the data are not a feed.
    """
    _refuse_oversized(data)
    # without a base URL, because feedparser would join it with guids too
    headers = {"content-type": content_type} if content_type else {}
    try:
        found = feedparser.parse(
            BytesIO(data), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:  # untrusted input: any part of the parser may fail
        raise NotAFeed(f"it cannot be read as a feed: {type(error).__name__}") from error
    if not found.get("version") and not found["entries"]:
        raise NotAFeed("it is not a feed")
    return found


def _refuse_oversized(data: bytes) -> None:
    """Refuse documents that would take a parser hours.

    After the first XML error only the length and number of tags are checked; the process that parses has a time limit.
    """
    if _LONGEST_TAG.search(data):
        raise NotAFeed("it has a tag of more than 100,000 bytes")
    if data.count(b"<") > _MAX_TAGS:
        raise NotAFeed(f"it has more than {_MAX_TAGS:,} tags")
    depth = 0

    def start(_name: str, attributes: list[str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH or len(attributes) > 2 * _MAX_ATTRIBUTES:
            raise NotAFeed(f"it has tags more than {_MAX_DEPTH} deep, or with more than {_MAX_ATTRIBUTES} attributes")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, NotAFeed):
            raise
