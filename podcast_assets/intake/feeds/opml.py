"""Feeds of an OPML list, also where it is not well-formed XML: exported lists have unescaped ampersands and lost tags."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.parsers import expat

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.intake.encodings import decode_text

_ADDRESSES = ("xmlurl", "url", "feedurl")
"""Attributes that hold a feed's address, in lower case; the first is the one that OPML specifies."""
_FEED_TYPES = {"rss", "atom", "feed", "podcast", "pie"}
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding=["']([A-Za-z0-9._-]{1,40})["']""")


@dataclass
class OpmlFeeds:
    """Feeds of an OPML list."""

    urls: list[str] = field(default_factory=list)
    """Addresses as they are written, in order."""
    without_address: int = 0
    """Number of outlines that claim to be feeds and have no address."""
    damage: str | None = None
    """Why it is not well-formed XML; None if it is."""


def read_opml(data: bytes) -> OpmlFeeds:
    """Read the outlines with an address at any depth (https://opml.org/spec2.opml#subscriptionLists).

    Raises:
        BadInput: it declares entities, which real lists never do, or is no XML at all.
    """
    result = OpmlFeeds()
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: _add_outline(result, name, attributes)
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, BadInput):
            raise
        return _read_leniently(data, first_line(error))
    return result


def _read_leniently(data: bytes, damage: str) -> OpmlFeeds:
    """Read the outlines of damaged XML. Python's parser of HTML knows no entities but those of HTML, and never gives up."""
    if b"<!ENTITY" in data:
        _refuse_entity()
    result = OpmlFeeds(damage=damage)

    class Outlines(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            _add_outline(result, tag, {name: value or "" for name, value in attrs})

    parser = Outlines(convert_charrefs=True)
    parser.feed(_BARE_AMPERSAND.sub("&amp;", _decode(data)))
    parser.close()
    return result


def _decode(data: bytes) -> str:
    declared = _DECLARED.search(data[:1_000])
    try:
        return data.decode(declared[1].decode("ascii") if declared else "utf-8-sig")
    except (LookupError, ValueError):
        return decode_text(data)


def _refuse_entity(*_: object) -> None:
    raise BadInput("it declares entities, which lists of feeds do not need: remove its DOCTYPE")


def _add_outline(result: OpmlFeeds, name: str, attributes: dict[str, str]) -> None:
    if name.lower().rpartition(":")[2] != "outline":
        return
    lowered = {key.lower(): value.strip() for key, value in attributes.items()}
    is_feed = lowered.get("type", "").lower() in _FEED_TYPES
    addresses = _ADDRESSES if is_feed else _ADDRESSES[:1]
    if url := next((lowered[a] for a in addresses if lowered.get(a)), None):
        result.urls.append(url)
    elif is_feed:
        result.without_address += 1
