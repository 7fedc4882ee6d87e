"""Every episode whose audio a feed names is taken, however it declares it, and what is passed over is counted."""

import pytest

from podcast_assets.intake.feeds.feed import Feed, read_feed
from podcast_assets_tests.intake.feeds.shapes import rss

URL = "https://feeds.example/show/feed.xml"
AUDIO = "https://cdn.example/1"
MEDIA_RSS = 'xmlns:media="http://search.yahoo.com/mrss/"'


def feed_of(*contents: str, **options: str) -> Feed:
    items = (f"<item><guid>{n}</guid>{content}</item>" for n, content in enumerate(contents))
    data = rss(*items, **options).decode().replace("<rss ", f"<rss {MEDIA_RSS} ", 1)
    return read_feed(data.encode(), URL)


@pytest.mark.parametrize(
    "attributes",
    [
        *["", 'type=""', 'type="mp3"', 'type="MP3"', 'type="audio"', 'type="application/octet-stream"'],
        *[
            'type="binary/octet-stream"',
            'type="application/ogg"',
            'type="application/x-whatever; x=1"',
            'type="audio/mpeg"',
        ],
        *['type="application/force-download"', 'type="video/mp4"', 'length="1"'],
    ],
)
def test_the_type_of_an_enclosure_need_not_be_right(attributes: str) -> None:
    feed = feed_of(f'<enclosure url="{AUDIO}" {attributes}/>')
    assert ([i.url for i in feed.items], feed.passed_over) == ([AUDIO], {})


@pytest.mark.parametrize(
    "content",
    [
        f'<media:content url="{AUDIO}" type="audio/mpeg" fileSize="77" duration="61"/>',
        f'<media:group><media:content url="{AUDIO}" medium="audio" fileSize="77" duration="61"/></media:group>',
        f"""<media:group><media:content url="https://x.example/cover.jpg"/><media:content url="https://x.example/c" medium="image"/>
        <media:content url="{AUDIO}" fileSize="77" duration="61"/></media:group>""",
    ],
)
def test_media_rss_is_read_in_place_of_an_enclosure(content: str) -> None:
    (item,) = feed_of(content).items
    assert (item.url, item.bytes, item.seconds) == (AUDIO, 77, 61.0)


def test_the_file_that_is_audio_goes_before_one_that_may_be() -> None:
    several = f"""<enclosure url="https://x.example/a.pdf" type="application/octet-stream"/>
    <enclosure url="https://x.example/what" type="application/octet-stream"/><enclosure url="{AUDIO}" type="audio/mpeg"/>"""
    alternative = f"""<podcast:alternateEnclosure type="audio/opus"><podcast:source uri="ipfs://x"/>
    <podcast:source uri="{AUDIO}"/></podcast:alternateEnclosure>"""
    assert [i.url for i in feed_of(several, alternative, "<link>https://x.example/1.mp3</link>").items] == [
        AUDIO,
        AUDIO,
        "https://x.example/1.mp3",
    ]


def test_atom_names_audio_by_links_and_by_content() -> None:
    entries = [
        f'<link rel="enclosure" href="{AUDIO}"/>',
        '<link rel="alternate" href="https://x.example/page"/><content type="audio/mpeg" src="../2.mp3"/>',
        '<link rel="alternate" href="https://x.example/page" type="text/html"/>',
    ]
    text = "".join(f"<entry><id>{n}</id><title>t</title>{e}</entry>" for n, e in enumerate(entries))
    feed = read_feed(f'<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>{text}</feed>'.encode(), URL)
    assert [i.url for i in feed.items] == [AUDIO, "https://feeds.example/2.mp3"]
    assert feed.passed_over == {"no enclosure": 1}


def test_what_is_passed_over_is_counted_by_its_reason() -> None:
    same = f'<guid>s</guid><enclosure url="{AUDIO}"/>'
    feed = feed_of(
        '<enclosure url="https://x.example/a" type="application/pdf"/>',
        '<enclosure url="https://x.example/b" type="application/pdf; charset=x"/>',
        '<enclosure url="https://x.example/c.jpg?x=.mp3"/>',
        '<enclosure url="https://x.example/d" type="text/html"/>',
        '<enclosure url="magnet:?xt=1" type="audio/mpeg"/>',
        '<enclosure url="http://[/2.mp3" type="audio/mpeg"/>',
        "<title>a text</title>",
        same,
        same,
        channel=f'<podcast:liveItem><enclosure url="{AUDIO}" type="audio/mpeg"/></podcast:liveItem>',
    )
    assert [i.url for i in feed.items] == [AUDIO]
    assert feed.passed_over == {
        "an enclosure that is application/pdf": 2,
        "an enclosure that is a .jpg file": 1,
        "an enclosure that is text/html": 1,
        "an enclosure whose address is neither http nor https": 2,
        "no enclosure": 1,
        "an episode that is listed twice": 1,
        "a live item": 1,
    }


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("", "https://cdn.example/new/1.mp3"),
        ('xml:base="https://other.example/x/"', "https://other.example/x/1.mp3"),
        ('xml:base="audio/"', "https://cdn.example/new/audio/1.mp3"),
    ],
)
def test_relative_addresses_are_resolved_where_the_feed_came_from(base: str, expected: str) -> None:
    data = rss('<item><guid>g</guid><enclosure url="1.mp3" type="audio/mpeg"/></item>').decode()
    data = data.replace("<item>", f"<item {base}>")
    feed = read_feed(data.encode(), URL, base="https://cdn.example/new/feed")
    assert [i.url for i in feed.items] == [expected]
    assert feed.guid == read_feed(data.encode(), URL).guid, "ids come from the subscription"
