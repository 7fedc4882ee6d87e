"""What people submit lies where the sensors look, and the same again is the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.arrivals import default_language, find_arrival, find_settled, list_incoming
from podcast_assets.intake.submit import (
    FEEDS,
    looks_like_feed,
    sort_inputs,
    submit_feeds,
    submit_files,
    submit_opml,
    submit_urls,
)
from podcast_assets.store.store import Entry, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "show").mkdir()
    (tmp_path / "show" / "a.mp3").write_bytes(b"a")
    return tmp_path / "show"


@pytest.mark.parametrize(
    ("url", "feed"),
    [
        *[("https://x.org/feed", True), ("https://x.org/show.xml?a=b.mp3", True), ("https://x.org/rss/show", True)],
        *[("https://x.org/a.mp3", False), ("https://x.org/feed/a.mp3?x=.xml", False), ("https://x.org/", False)],
    ],
)
def test_feeds_are_told_by_their_paths(url: str, feed: bool) -> None:
    assert looks_like_feed(url) is feed
    assert sort_inputs([url], feeds=not feed).feeds == ([] if feed else [url])


def test_inputs_that_are_nothing(folder: Path) -> None:
    found = sort_inputs([str(folder), "https://x.org/a.mp3"])
    assert (found.places, found.urls) == ([folder], ["https://x.org/a.mp3"])
    with pytest.raises(BadInput, match="neither an existing file or folder nor a URL"):
        sort_inputs(["nowhere"])
    with pytest.raises(BadInput, match="gopher URLs are not supported"):
        sort_inputs(["gopher://x.org/a"])


def test_a_submitted_folder_is_ready_at_once_with_its_language(store: Store, folder: Path) -> None:
    batch = submit_files(store, [folder], None, "German")
    incoming = list_incoming(store)
    assert list(find_settled(incoming, {}, now=0, minimum_age=1e9, require_ready=True).ready) == [batch]
    assert [f.key for f in incoming.arrivals[batch].files] == [f"{batch}/a.mp3"]
    assert default_language(store, incoming.arrivals[batch]) == "de"
    submit_files(store, [folder], None, "de")
    assert find_arrival(store, batch).signature == incoming.arrivals[batch].signature, "the same again"
    submit_files(store, [folder], None, "fr")
    assert find_arrival(store, batch).signature != incoming.arrivals[batch].signature
    with pytest.raises(BadInput, match="'klingon' is not a language code"):
        submit_files(store, [folder], None, "klingon")


def test_submitting_lists_no_other_batch(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("incoming/other/a.mp3", b"a")
    listed: list[str] = []
    list_files = Store.list

    def list_and_record(self: Store, folder: str) -> Iterator[Entry]:
        listed.append(folder)
        return list_files(self, folder)

    monkeypatch.setattr(Store, "list", list_and_record)
    for _ in range(2):
        submit_files(store, [folder], "mine", None)
        submit_urls(store, ["https://x.org/a.mp3"], "links", None)
    with pytest.raises(BadInput, match=r"mine/a\.mp3 has that name"):
        submit_urls(store, ["https://x.org/a.mp3"], "mine", None)
    assert set(listed) == {"incoming/mine"}


def test_a_list_of_urls_grows(store: Store) -> None:
    urls = ["https://x.org/a.mp3", "https://x.org/b.mp3"]
    assert submit_urls(store, urls, None, "en") == submit_urls(store, urls, None, "en")
    submit_urls(store, urls[:1], "mine", None)
    submit_urls(store, urls, "mine", "en")
    lines = store.path("incoming/mine.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"url": urls[0]}, {"url": urls[1], "language": "en"}]
    with pytest.raises(BadInput, match="is not a valid batch name"):
        submit_urls(store, urls, "Not/One", None)
    store.write("incoming/taken.tar", b"archive")
    with pytest.raises(BadInput, match=r"taken.tar has that name"):
        submit_urls(store, urls, "taken", None)


def test_feeds_are_added_to_what_is_there(store: Store, tmp_path: Path) -> None:
    assert submit_feeds(store, ["https://x.org/feed"], "en") == 1
    assert submit_feeds(store, ["https://x.org/feed", "https://x.org/b,c.xml"], None) == 1
    assert store.path(FEEDS).read_text() == 'url,language\nhttps://x.org/feed,en\n"https://x.org/b,c.xml",\n'
    store.write(FEEDS, b"hours,url\n4,https://y.org/feed\n")
    submit_feeds(store, ["https://z.org/feed"], "de")
    assert store.path(FEEDS).read_text() == "hours,url,language\n4,https://y.org/feed,\n,https://z.org/feed,de\n"
    store.write(FEEDS, b"link\nhttps://y.org/feed\n")
    with pytest.raises(BadInput, match="no column url"):
        submit_feeds(store, ["https://z.org/feed"], None)
    opml = b'<opml><body><outline xmlUrl="https://x.org/feed"/></body></opml>'
    (tmp_path / "My Feeds.opml").write_bytes(opml)
    added = submit_opml(store, tmp_path / "My Feeds.opml")
    assert added == submit_opml(store, tmp_path / "My Feeds.opml")
    assert (store.path(added.key).read_bytes(), added.feeds, added.trouble) == (opml, 1, None)
