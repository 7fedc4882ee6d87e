"""Feeds as they exist."""

from xml.sax.saxutils import escape

NAMESPACES = (
    'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:podcast="https://podcastindex.org/namespace/1.0" '
    'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
)


def item(guid: str | None, url: str, extra: str = "", title: str = "An episode") -> str:
    identity = "" if guid is None else f'<guid isPermaLink="false">{escape(guid)}</guid>'
    return (
        f"<item><title>{title}</title>{identity}"
        f'<enclosure url="{escape(url)}" type="audio/mpeg" length="1000"/>{extra}</item>'
    )


def rss(*items: str, channel: str = "", title: str = "A show", declaration: str = '<?xml version="1.0"?>') -> bytes:
    return (
        f'{declaration}<rss version="2.0" {NAMESPACES}><channel><title>{title}</title>{channel}{"".join(items)}</channel></rss>'
    ).encode()


FULL = rss(
    """<item><title>One &amp; only</title><guid isPermaLink="false">e1</guid><link>https://show.example/1</link>
    <enclosure url="/audio/1.mp3?key=2&amp;x=1" type="audio/mpeg" length="123456"/>
    <pubDate>Fri, 20 Nov 2026 10:00:00 +0100</pubDate><itunes:duration>1:00:01</itunes:duration>
    <itunes:explicit>true</itunes:explicit><itunes:season>2</itunes:season><itunes:episode>7</itunes:episode>
    <content:encoded><![CDATA[<p>Notes with <b>markup</b></p>]]></content:encoded>
    <podcast:transcript url="https://show.example/1.vtt" type="text/vtt"/>
    <podcast:transcript url="/1.json" type="application/json" language="de" rel="captions"/>
    <podcast:chapters url="/1.chapters.json" type="application/json+chapters"/>
    <podcast:person role="guest" href="https://bo.example">Bo</podcast:person><podcast:person>Cy</podcast:person>
    <podcast:license url="https://creativecommons.org/licenses/by-nc/4.0/">cc-by-nc-4.0</podcast:license></item>""",
    """<item><title>Two</title><guid>two</guid><enclosure url="https://cdn.example/2" type="audio/x-m4a"/>
    <itunes:block>Yes</itunes:block></item>""",
    "<item><title>A text without audio</title><guid>t</guid></item>",
    """<item><title>A picture</title><guid>p</guid><enclosure url="https://x.example/a.jpg" type="image/jpeg"/></item>""",
    channel="""<language>de-AT</language><copyright>2026 The Show</copyright>
    <podcast:guid>917393e3-1b1e-5cef-ace4-edaa54e1f810</podcast:guid><podcast:medium>podcast</podcast:medium>
    <podcast:license>cc-by-4.0</podcast:license><podcast:locked owner="me@show.example">yes</podcast:locked>
    <podcast:block id="google">yes</podcast:block><podcast:block>no</podcast:block>
    <podcast:person role="host">Ada</podcast:person><podcast:person>Di</podcast:person>
    <podcast:value type="lightning" method="keysend"><podcast:valueRecipient name="x" address="02" split="1"/></podcast:value>
    <podcast:liveItem status="pending" start="2026-12-01T07:30:00Z"><title>Live</title><guid>live</guid>
    <enclosure url="https://x.example/live.mp3" type="audio/mpeg" length="1"/><podcast:person>Nobody</podcast:person>
    </podcast:liveItem>""",
)
"""RSS 2.0 with iTunes and Podcasting 2.0."""
