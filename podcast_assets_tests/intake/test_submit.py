"""What people submit lies where the sensors look, and the same again is the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.arrivals import default_metadata, find_arrival, find_settled, list_incoming
from podcast_assets.intake.episodes import with_defaults
from podcast_assets.intake.given_metadata import GivenMetadata, parse_speakers
from podcast_assets.intake.given_tables import SortedFiles, read_rows_of_list, sort_tables
from podcast_assets.intake.links import read_link_list
from podcast_assets.intake.submit import (
    FEEDS,
    looks_like_feed,
    sort_inputs,
    submit_feeds,
    submit_files,
    submit_list,
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
    batch = submit_files(store, [folder], None, GivenMetadata("German", "CC-BY-4.0").row())
    incoming = list_incoming(store)
    assert list(find_settled(incoming, {}, now=0, minimum_age=1e9, require_ready=True).ready) == [batch]
    assert [f.key for f in incoming.arrivals[batch].files] == [f"{batch}/a.mp3"]
    assert default_metadata(store, incoming.arrivals[batch]) == {
        "language": "de",
        "license": "CC-BY-4.0",
    }
    submit_files(store, [folder], None, GivenMetadata("de", "CC-BY-4.0").row())
    assert find_arrival(store, batch).signature == incoming.arrivals[batch].signature, "the same again"
    submit_files(store, [folder], None, {"language": "fr"})
    assert find_arrival(store, batch).signature != incoming.arrivals[batch].signature
    with pytest.raises(BadInput, match="'klingon' is not a language code"):
        GivenMetadata("klingon").row()


def test_submitting_lists_no_other_batch(store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("incoming/other/a.mp3", b"a")
    listed: list[str] = []
    list_files = Store.list

    def list_and_record(self: Store, folder: str) -> Iterator[Entry]:
        listed.append(folder)
        return list_files(self, folder)

    monkeypatch.setattr(Store, "list", list_and_record)
    for _ in range(2):
        submit_files(store, [folder], "mine", {})
        submit_urls(store, ["https://x.org/a.mp3"], "links", {})
    with pytest.raises(BadInput, match=r"mine/a\.mp3 has that name"):
        submit_urls(store, ["https://x.org/a.mp3"], "mine", {})
    assert set(listed) == {"incoming/mine"}


def test_a_list_of_urls_grows(store: Store) -> None:
    urls, english = ["https://x.org/a.mp3", "https://x.org/b.mp3"], {"language": "en"}
    assert submit_urls(store, urls, None, english) == submit_urls(store, urls, None, english)
    submit_urls(store, urls[:1], "mine", {"title": "One"})
    submit_urls(store, urls, "mine", GivenMetadata("English", "CC0-1.0", speakers="2-4").row())
    given = {"language": "en", "license": "CC0-1.0", "min_speakers": 2, "max_speakers": 4}
    assert _rows(store, "mine") == [{"url": urls[0], "title": "One"} | given, {"url": urls[1]} | given]
    submit_urls(store, urls[:1], "mine", {"num_speakers": 3})
    assert _rows(store, "mine")[0] == {"url": urls[0], "title": "One", "num_speakers": 3} | {
        k: given[k] for k in ("language", "license")
    }
    with pytest.raises(BadInput, match="is not a valid batch name"):
        submit_urls(store, urls, "Not/One", {})
    store.write("incoming/taken.tar", b"archive")
    with pytest.raises(BadInput, match=r"taken.tar has that name"):
        submit_urls(store, urls, "taken", {})


def _rows(store: Store, batch: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in store.read(f"incoming/{batch}.jsonl").splitlines()]


@pytest.mark.parametrize("speakers", ["0", "4-2", "two", "-3", ""])
def test_a_number_of_speakers_is_checked(speakers: str) -> None:
    with pytest.raises(BadInput, match=f"{speakers!r} is not a number of speakers"):
        parse_speakers(speakers)


def test_a_table_with_urls_is_a_list_and_another_describes_files(store: Store, folder: Path, tmp_path: Path) -> None:
    links, described = tmp_path / "links.csv", tmp_path / "described.csv"
    links.write_text("Title;URL ;License\nOne;https://x.org/a.mp3;\nNone;;\nTwo;https://x.org/b.mp3;CC0-1.0\n")
    described.write_text("meta_id,url\na,https://x.org/a.html\n")
    lines = tmp_path / "lines.jsonl"
    lines.write_text('broken\n{"URL": "https://x.org/c.mp3"}\n{"url": "https://x.org/c.mp3", "title": "again"}\n')
    assert sort_tables([links, lines], "meta_id") == SortedFiles([], [links, lines], [])
    assert sort_tables([folder, links], "meta_id") == SortedFiles([folder], [links], [])
    assert sort_tables([folder, described], "meta_id") == SortedFiles([folder, described], [], [described])
    assert sort_tables([described], "meta_id").lists == [described], "it describes nothing"
    rows = read_rows_of_list(links)
    assert (rows.episodes, rows.unreadable) == (2, {"links.csv, row 2": "it has no url"})
    for _ in range(2):
        submit_list(store, "mine", rows, {"license": "CC-BY-4.0", "language": "en"})
        submit_list(store, "mine", read_rows_of_list(lines), {})
    arrived = find_arrival(store, "mine")
    found = read_link_list("mine.jsonl", store.read(f"incoming/{arrived.files[0].key}"))
    assert [(link.url[-5], link.row.get("license"), link.row.get("language")) for link in found.links] == [
        *[("a", "CC-BY-4.0", "en"), ("b", "CC0-1.0", "en"), ("c", None, None)]
    ]
    assert len(found.broken) == 2, "the batch reports them too"
    assert read_rows_of_list(lines).repeated == {"lines.jsonl, row 3": "the same URL as lines.jsonl, row 2"}


def test_a_table_that_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("meta_id,title\na,One\n")
    with pytest.raises(BadInput, match=r"a\.csv: a list of URLs needs a column 'url'; without it a table is metadata"):
        sort_tables([tmp_path / "a.csv"], "meta_id")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BadInput, match=r"b\.parquet cannot be read as parquet"):
        sort_tables([tmp_path / "b.parquet"], "meta_id")
    (tmp_path / "c.csv").write_text("url,title\n,One\n")
    with pytest.raises(BadInput, match=r"c\.csv: no row has a url; c\.csv, row 1: it has no url"):
        read_rows_of_list(tmp_path / "c.csv")


def test_what_is_given_for_all_holds_where_an_episode_says_nothing() -> None:
    own = pl.DataFrame({"license": ["CC0-1.0", None], "metadata": ['{"num_speakers": 1}', None]})
    rows = own.with_columns(pl.lit(None, pl.String).alias(name) for name in ("language", "podcast", "title"))
    found = with_defaults(rows, {"license": "CC-BY-4.0", "podcast": "Show", "min_speakers": 2, "max_speakers": 4})
    assert found["license"].to_list() == ["CC0-1.0", "CC-BY-4.0"]
    assert found["podcast"].to_list() == ["Show", "Show"]
    assert [json.loads(m) for m in found["metadata"]] == [{"num_speakers": 1}, {"min_speakers": 2, "max_speakers": 4}]


def test_feeds_are_added_to_what_is_there(store: Store, tmp_path: Path) -> None:
    assert submit_feeds(store, ["https://x.org/feed"], {"language": "en"}) == 1
    assert submit_feeds(store, ["https://x.org/feed", "https://x.org/b,c.xml"], {}) == 1
    assert store.path(FEEDS).read_text() == 'url,language\nhttps://x.org/feed,en\n"https://x.org/b,c.xml",\n'
    store.write(FEEDS, b"hours,url\n4,https://y.org/feed\n")
    submit_feeds(store, ["https://z.org/feed"], {"language": "de", "license": "CC0-1.0"})
    assert store.path(FEEDS).read_text() == (
        "hours,url,language,license\n4,https://y.org/feed,,\n,https://z.org/feed,de,CC0-1.0\n"
    )
    store.write(FEEDS, b"link\nhttps://y.org/feed\n")
    with pytest.raises(BadInput, match="no column url"):
        submit_feeds(store, ["https://z.org/feed"], {})
    opml = b'<opml><body><outline xmlUrl="https://x.org/feed"/></body></opml>'
    (tmp_path / "My Feeds.opml").write_bytes(opml)
    added = submit_opml(store, tmp_path / "My Feeds.opml")
    assert added == submit_opml(store, tmp_path / "My Feeds.opml")
    assert (store.path(added.key).read_bytes(), added.feeds, added.trouble) == (opml, 1, None)
