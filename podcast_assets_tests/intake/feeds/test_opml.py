"""OPML lists as podcast players export them, damaged ones among them."""

from pathlib import Path

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.feeds.opml import read_opml
from podcast_assets.intake.feeds.subscriptions import read_subscriptions
from podcast_assets.intake.submit import sort_inputs, submit_opml
from podcast_assets.store.store import Store

ONE, TWO = "https://a.example/feed?x=1&copy=2", "https://b.example/feed"


def opml(*outlines: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    return f'{head}<opml version="2.0"><head/><body>{"".join(outlines)}</body></opml>'.encode()


def outline(url: str, name: str = "xmlUrl", **attributes: str) -> str:
    others = " ".join(f'{k}="{v}"' for k, v in ({"type": "rss", "text": "t"} | attributes).items())
    return f'<outline {others} {name}="{url}"/>'


@pytest.mark.parametrize(
    "data",
    [
        opml(outline(ONE.replace("&", "&amp;")), outline(TWO)),
        opml(outline(ONE), outline(TWO, text="Tom & Jerry &nbsp;")),
        opml(outline(ONE, "xmlURL"), f"<outline text='group'>{outline(TWO, 'url')}</outline>"),
        opml(outline(ONE), "<outline text='lost'>", outline(TWO))[:-14],
        opml(outline(ONE), outline(TWO), head="\ufeff  <?xml version='1.0'?>"),
        opml(outline(ONE), outline(TWO, text="Größe"), head="").decode().encode("cp1252"),
        opml(outline(ONE), outline(TWO, text="Größe"), head="").decode().encode("utf-16"),
    ],
)
def test_feeds_are_read_from_damaged_lists(data: bytes) -> None:
    assert read_opml(data).urls == [ONE, TWO]


def test_damage_and_feeds_without_an_address_are_named(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("feeds/a.opml", opml(outline(ONE), outline(""), outline(f"feed://{TWO[8:]}")))
    found = read_subscriptions(store)
    assert [s.url for s in found.feeds.values()] == [ONE, TWO.replace("https", "http")]
    assert found.troubles["a.opml"].startswith("it is not well-formed XML (")
    assert found.troubles["a.opml"].endswith("1 of its feeds have no address; 2 feeds were read")


@pytest.mark.parametrize("broken", ["", "&"])
def test_entities_stay_forbidden(broken: str) -> None:
    head = '<!DOCTYPE opml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(BadInput, match="it declares entities"):
        read_opml(opml(outline(f"{ONE}{broken}".replace("&", "&amp;") + broken, text="&b;"), head=head))


@pytest.mark.parametrize("data", [b"", b"not XML", b"<opml/>", opml("<outline text='a folder'/>"), b"<html>no</html>"])
def test_a_list_without_feeds_is_refused_when_it_is_submitted(tmp_path: Path, data: bytes) -> None:
    file, store = tmp_path / "show.opml", Store.at(tmp_path / "store")
    file.write_bytes(data)
    with pytest.raises(BadInput, match=r"show\.opml: no feed was found in it"):
        submit_opml(store, file)
    assert not list(store.list("feeds"))
    store.write("feeds/show.opml", data)
    assert read_subscriptions(store).troubles["show.opml"].startswith("it contains no feeds")


def test_a_list_of_feeds_is_known_by_its_content_too(tmp_path: Path) -> None:
    (tmp_path / "subscriptions.xml").write_bytes(opml(outline(ONE)))
    (tmp_path / "other.xml").write_bytes(b"<rss/>")
    found = sort_inputs([str(tmp_path / "subscriptions.xml"), str(tmp_path / "other.xml")])
    assert (found.lists_of_feeds, found.places) == ([tmp_path / "subscriptions.xml"], [tmp_path / "other.xml"])


@pytest.mark.parametrize(
    ("text", "url"),
    [
        *[("feed://x.org/a", "http://x.org/a"), ("FEED:https://x.org/a", "https://x.org/a")],
        *[("pcast://x.org/a?b=1", "http://x.org/a?b=1"), ("itpc://x.org/a", "http://x.org/a")],
        *[("podcast://https://x.org/a", "https://x.org/a"), ("feed:https//x.org/a", "https://x.org/a")],
        *[("itms-pcasts://x.org/a", "https://x.org/a"), ("feed:x.org/a", "http://x.org/a")],
    ],
)
def test_addresses_for_players_are_feeds(tmp_path: Path, text: str, url: str) -> None:
    assert sort_inputs([text]).feeds == [url]
    store = Store.at(tmp_path)
    store.write("feeds/a.csv", f"Feed URL;Language\n {text} ;de\n".encode("utf-16"))
    assert [(s.url, s.language) for s in read_subscriptions(store).feeds.values()] == [(url, "de")]
