"""What is read of feeds in the shapes that exist, and that none of them does harm."""

import random
import time
from pathlib import Path

import pytest

from podcast_assets.intake.feeds.feed import FeedRights, guid_from_url, parse_duration, read_feed
from podcast_assets.intake.feeds.podcasting import NotAFeed
from podcast_assets_tests.intake.feeds.shapes import FULL, item, rss

URL = "https://feeds.example/show?token=hunter2"


def test_everything_that_podcasting_2_0_says_is_kept() -> None:
    feed = read_feed(FULL, URL)
    assert (feed.guid, feed.title, feed.language) == ("917393e3-1b1e-5cef-ace4-edaa54e1f810", "A show", "de")
    assert [i.guid for i in feed.items] == ["e1", "two"]
    one, two = feed.items
    general = FeedRights("cc-by-4.0", None, "2026 The Show", "podcast", locked=True)
    assert one.rights == FeedRights(
        "cc-by-nc-4.0",
        "https://creativecommons.org/licenses/by-nc/4.0/",
        general.copyright,
        general.medium,
        locked=True,
        explicit=True,
    )
    assert two.rights == FeedRights("cc-by-4.0", None, "2026 The Show", "podcast", locked=True, blocked=True)
    assert feed.row(one, URL) == {
        "url": "https://feeds.example/audio/1.mp3?key=2&x=1",
        "podcast_guid": feed.guid,
        "guid": "e1",
        "podcast": "A show",
        "title": "One & only",
        "language": "de",
        "license": "cc-by-nc-4.0",
        "license_url": "https://creativecommons.org/licenses/by-nc/4.0/",
        "copyright": "2026 The Show",
        "medium": "podcast",
        "explicit": True,
        "published": "2026-11-20T09:00:00+00:00",
        "declared_seconds": 3601.0,
        "feed": "https://feeds.example/show",
        "link": "https://show.example/1",
        "season": "2",
        "episode": "7",
        "persons": [{"name": "Bo", "role": "guest", "href": "https://bo.example"}, {"name": "Cy"}],
        "transcripts": [
            {"url": "https://show.example/1.vtt", "type": "text/vtt"},
            {"url": "https://feeds.example/1.json", "type": "application/json", "language": "de", "rel": "captions"},
        ],
        "chapters": "https://feeds.example/1.chapters.json",
    }
    assert feed.row(two, URL)["persons"] == [{"name": "Ada", "role": "host"}, {"name": "Di"}]


def test_a_feed_without_a_guid_has_one_by_its_url() -> None:
    """The example of the specification."""
    assert guid_from_url("https://podnews.net/rss") == "9b024349-ccf0-5f69-a609-6b82873eab3c"
    assert guid_from_url("http://podnews.net/rss/") == guid_from_url("https://podnews.net/rss")


@pytest.mark.parametrize(
    ("block", "blocked"),
    [
        ("<podcast:block>yes</podcast:block>", True),
        ('<podcast:block id="spotify">yes</podcast:block>', False),
        ("<podcast:block>no</podcast:block>", False),
        ("<itunes:block>YES</itunes:block>", True),
        ("<itunes:block>no</itunes:block>", False),
    ],
)
def test_blocks_for_everybody_count_and_those_for_one_service_do_not(block: str, blocked: bool) -> None:
    feed = read_feed(rss(item("1", "https://x.example/1.mp3"), channel=block), URL)
    assert [i.rights.blocked for i in feed.items] == [blocked]


@pytest.mark.parametrize("explicit", ["yes", "true", "no", "false", "clean", None])
def test_explicit_is_written_in_many_ways(explicit: str | None) -> None:
    said = f"<itunes:explicit>{explicit}</itunes:explicit>" if explicit else ""
    feed = read_feed(rss(item("1", "https://x.example/1.mp3"), channel=said), URL)
    assert feed.items[0].rights.explicit is {"yes": True, "true": True, None: None}.get(explicit, False)


def test_encodings_are_read_as_they_are_meant() -> None:
    title = "Müßiggang über alles"
    latin = rss(title=title, declaration='<?xml version="1.0" encoding="iso-8859-1"?>').decode().encode("latin-1")
    windows = rss(title="“Quoted”").decode().encode("cp1252")
    sixteen = rss(title=title, declaration="").decode().encode("utf-16")
    assert read_feed(latin, URL).title == title
    assert read_feed(windows, URL, "application/xml; charset=windows-1252").title == "“Quoted”"
    assert read_feed(sixteen, URL).title == title


def test_broken_xml_gives_what_can_be_read() -> None:
    whole = [item(str(n), f"https://x.example/{n}.mp3", title="Tom & Jerry &nbsp; more") for n in range(3)]
    broken = rss(*whole)[: -len("</item></channel></rss>")]
    feed = read_feed(broken, URL)
    assert [i.url for i in feed.items] == [f"https://x.example/{n}.mp3" for n in range(3)]
    assert feed.items[0].about["title"] == "Tom & Jerry more"
    people = read_feed(
        rss(
            item(
                "1",
                "https://x.example/1.mp3",
                "<podcast:person>A</podcast:person><podcast:person>B</podcast:person> & ",
            )
        ),
        URL,
    )
    assert people.items[0].about["persons"] == [{"name": "A"}, {"name": "B"}]


def test_other_prefixes_and_addresses_of_a_namespace_are_the_same() -> None:
    old = "https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/1.0.md"
    data = rss(channel="<podcast:guid>g</podcast:guid>").decode()
    assert read_feed(data.replace("https://podcastindex.org/namespace/1.0", old).encode(), URL).guid == "g"
    assert read_feed(data.replace("podcast:", "pc:").replace(":podcast=", ":pc=").encode(), URL).guid == "g"


def test_a_guid_that_comes_twice_loses_no_episode() -> None:
    same = item("1", "https://x.example/1.mp3")
    feed = read_feed(rss(same, same, item("1", "https://x.example/2.mp3"), item(None, "https://x.example/3.mp3")), URL)
    assert [i.url for i in feed.items] == [f"https://x.example/{n}.mp3" for n in (1, 2, 3)]
    assert len({feed.episode_id(i) for i in feed.items}) == 3
    assert feed.items[2].guid == "https://x.example/3.mp3"


def test_a_guid_is_not_joined_with_the_address_of_its_feed() -> None:
    feed = read_feed(rss('<item><guid>plain</guid><enclosure url="/a.mp3" type="audio/mpeg"/></item>'), URL)
    assert (feed.items[0].guid, feed.items[0].url) == ("plain", "https://feeds.example/a.mp3")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3600", 3600.0), ("61:01", 3661.0), ("01:02:03", 3723.0), ("1:2:3.5", 3723.5), ("0", None), ("soon", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("data", [b"", b"<html><body>Not here</body></html>", b"\x00\x01\x02", b"{}"])
def test_what_is_no_feed_is_said(data: bytes) -> None:
    with pytest.raises(NotAFeed):
        read_feed(data, URL)


def bombs() -> dict[str, bytes]:
    laughs = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 12))
    attributes = " ".join(f'a{n}="x"' for n in range(12_000))
    return {
        "entities in entities": rss(
            title="&l11;", declaration=f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY l0 'lol'>{laughs}]>"
        ),
        "one long entity often": rss(title="&a;" * 20_000, declaration=f"<!DOCTYPE r [<!ENTITY a '{'a' * 200_000}'>]>"),
        "many attributes": rss(channel=f"<x {attributes}/>"),
        "many attributes after an error": rss(title="&nbsp;", channel=f"<x {attributes} {attributes}/>"),
        "many tags with many attributes": rss(channel=f"<x {attributes}/>" * 50),
        "deep": rss(channel="<a>" * 200_000),
        "open brackets": rss(title="<" * 100_000),
        "open sections": rss(title="<![CDATA[" * 50_000),
        "ampersands": rss(title="&a" * 100_000),
    }


@pytest.mark.parametrize("name", bombs())
def test_bombs_are_harmless(name: str) -> None:
    began = time.process_time()
    try:
        feed = read_feed(bombs()[name], URL)
    except NotAFeed:
        feed = None
    assert feed is None or len(feed.title or "") < 1_000_000
    assert time.process_time() - began < 60, "hours, were it not stopped"


def test_nothing_outside_the_feed_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    for declared in (f"SYSTEM 'file://{tmp_path}/secret'", f"PUBLIC 'x' '{tmp_path}/secret'"):
        data = rss(title="a &x; b", declaration=f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY x {declared}>]>")
        assert "hunter2" not in repr(read_feed(data, URL))


def test_numbers_links_and_texts_that_nobody_means() -> None:
    odd = f"""<item><guid>1</guid><title>a{"b" * 9000}</title><enclosure url="https://x.example/1.mp3" type="audio/mpeg"
    length="{"9" * 5000}"/><itunes:duration>{"9" * 5000}</itunes:duration><pubDate>Fri, 99 Foo 99999 99:99:99 GMT</pubDate>
    <podcast:transcript url="http://[" type="text/vtt"/><podcast:transcript/></item>
    <item><guid>2</guid><enclosure url="http://[/2.mp3" type="audio/mpeg"/></item>
    <item><guid>3</guid><enclosure type="audio/mpeg"/></item>"""
    feed = read_feed(rss(odd), URL)
    (only,) = feed.items
    assert (only.bytes, only.seconds, only.published, only.about["transcripts"]) == (None, None, None, [])
    assert len(only.about["title"]) == 4000
    assert read_feed(rss(title="a &#27;[31m &nbsp; b"), URL).title == "a [31m b"


def test_two_hundred_mutated_feeds_crash_nothing() -> None:
    chance = random.Random(20261121)
    for _ in range(200):
        data = bytearray(FULL)
        for _ in range(chance.randrange(1, 30)):
            at, kind = chance.randrange(len(data)), chance.randrange(4)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                del data[at : at + chance.randrange(1, 60)]
            elif kind == 2:
                data[at:at] = data[chance.randrange(len(data)) :][: chance.randrange(1, 200)]
            else:
                data[at:at] = chance.choice([b"<", b">", b"&", b"]]>", b"<!--", b"\x00", b"\xff", b"<item>", b'"'])
        try:
            feed = read_feed(bytes(data), URL)
        except NotAFeed:
            continue
        for found in feed.items:
            feed.row(found, URL)
