"""Feeds in several pages, and feeds that moved."""

import datetime
import json
from pathlib import Path

import pytest

from podcast_assets.intake.feeds import poll
from podcast_assets.intake.feeds.follow import read_states
from podcast_assets.store.schema import empty_table
from podcast_assets.store.schema_beside import FEED_STATE
from podcast_assets.store.store import Store
from podcast_assets_tests.intake.feeds.shapes import rss
from podcast_assets_tests.intake.feeds.test_follow import HOUR, NOW, episodes, go, listed, server, subscribe, web
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

__all__ = ["server"]
ATOM = 'xmlns:atom="http://www.w3.org/2005/Atom"'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def page(*numbers: int, after: str | None = None, relation: str = "next", channel: str = "") -> Resource:
    link = f'<atom:link {ATOM} rel="{relation}" href="{after}"/>' if after else ""
    data = rss(*episodes(*numbers), channel=link + channel)
    return Resource(data, content_type="application/rss+xml", etag=f'"{numbers} {after} {channel}"')


def paged(server: WebServer, count: int, relation: str = "next") -> str:
    """Serve a feed of pages with one episode each, the newest first; returns its URL."""
    for n in range(1, count):
        server.put(f"/{n}", page(count - n, after=f"/{n + 1}" if n + 1 < count else None, relation=relation))
    return server.put("/feed", page(count, after="/1" if count > 1 else None, relation=relation))


@pytest.mark.parametrize("relation", ["next", "prev-archive"])
def test_all_pages_are_read_once_and_then_only_the_new_ones(server: WebServer, store: Store, relation: str) -> None:
    subscribe(store, paged(server, 4, relation))
    first = go(store)
    assert listed(store, *first.batches) == ["g1", "g2", "g3", "g4"]
    assert (first.failed, read_states(store).select("episodes", "pages").row(0)) == ({}, (4, 4))
    server.put("/feed", page(6, 5, after="/new"))
    server.put("/new", page(4, 3, after="/2"))
    later = go(store, NOW + 6 * HOUR)
    assert listed(store, *later.batches) == ["g5", "g6"]
    assert (server.asked["/new"], server.asked["/2"]) == (1, 1), "a page without new episodes is the last one"
    assert go(store, NOW + 12 * HOUR).changed == 0


@pytest.mark.parametrize(
    ("last", "new", "requests"),
    [
        *[(page(1, after="/1"), 3, 3), (page(1, after="/feed"), 3, 3), (page(1, after="/2"), 3, 3)],
        *[(page(1, after="?again=1"), 3, 4), (page(2, after="/1?n=1"), 2, 3)],
    ],
)
def test_pages_in_a_circle_end(server: WebServer, store: Store, last: Resource, new: int, requests: int) -> None:
    subscribe(store, server.put("/feed", page(3, after="/1")))
    server.put("/1", page(2, after="/2"))
    server.put("/2", last)
    done = go(store)
    assert (done.failed, done.new_episodes, len(server.requests)) == ({}, new, requests)


def test_pages_without_episodes_are_passed_and_do_not_go_on_for_ever(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", page(after="/1")), server.put("/endless", page(9, after="/e?0")))
    server.put("/1", page(1, after="/2"))
    server.put("/2", page(after="/3"))
    server.put("/3", page(2))
    for n in range(20):
        server.put(f"/e{n}", page(after=f"/e{n + 1}"))
    server.put("/e", page(after="/e0"))
    done = go(store)
    assert (listed(store, *done.batches), done.failed) == (["g1", "g2", "g9"], {})
    assert list(done.notes.values()) == ["10 pages in a row have no episodes; older ones are left out"]


def test_a_feed_with_more_pages_than_a_tick_has_time_for_goes_on_in_the_next(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(store, paged(server, 5))
    monkeypatch.setattr(poll, "SECONDS", 0.0)
    monkeypatch.setattr(poll, "TimeBudget", lambda seconds: poll_budget(20.0))
    guids: list[str] = []
    for tick in range(5):
        done = go(store, NOW + tick * datetime.timedelta(seconds=30))
        assert (done.looked, done.failed) == (1, {})
        guids += listed(store, *done.batches)
    assert sorted(guids) == ["g1", "g2", "g3", "g4", "g5"]
    assert read_states(store).select("episodes", "pages", "continue_at", "etag").row(0) == (5, 5, None, None)
    assert go(store, NOW + HOUR).looked == 0


poll_budget = poll.TimeBudget


def test_the_number_of_pages_is_bounded_and_the_bound_is_told(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "MOST_PAGES", 3)
    subscribe(store, paged(server, 5))
    done = go(store)
    assert listed(store, *done.batches) == ["g3", "g4", "g5"]
    assert list(done.notes.values()) == ["it has more than 3 pages; older episodes are left out"]


def test_of_a_feed_of_which_the_newest_are_wanted_no_older_pages_are_read(server: WebServer, store: Store) -> None:
    subscribe(store, paged(server, 5), newest="2")
    assert listed(store, *go(store).batches) == ["g4", "g5"]
    assert server.asked == {"/feed": 1, "/1": 1}
    subscribe(store, server.url("/feed"))
    server.resources["/feed"].etag = '"changed"'
    assert listed(store, *go(store, NOW + 6 * HOUR).batches) == ["g1", "g2", "g3"], "all are wanted now"


def test_a_page_that_fails_loses_no_other(server: WebServer, store: Store) -> None:
    subscribe(store, paged(server, 4))
    server.resources["/2"].answers = [(500, {}), (404, {})]
    first = go(store)
    assert listed(store, *first.batches) == ["g3", "g4"]
    assert list(first.failed.values()) == ["page 3: the server answered 500 Internal Server Error"]
    assert go(store, NOW + 6 * HOUR).failed, "the page is still not there"
    later = go(store, NOW + 24 * HOUR)
    assert (later.failed, listed(store, *later.batches)) == ({}, ["g1", "g2"])
    assert read_states(store)["pages"].to_list() == [4]


def test_pages_lead_to_public_addresses_only(server: WebServer, store: Store) -> None:
    with web_server(host="127.0.0.2") as inside:
        subscribe(store, server.put("/feed", page(2, after=inside.put("/1", page(1)))))
        done = go(store)
        assert "is not on the public network" in next(iter(done.failed.values()))
        assert (listed(store, *done.batches), inside.requests) == (["g2"], [])


def moved(url: str, *numbers: int) -> Resource:
    return page(*numbers, channel=f"<itunes:new-feed-url>{url}</itunes:new-feed-url>")


def test_a_feed_that_moved_is_followed_and_keeps_its_ids(server: WebServer, store: Store) -> None:
    new = server.put("/new?key=hunter2", page(1, 2, 3))
    server.put("/new", server.resources["/new?key=hunter2"])
    subscribe(store, server.put("/old", moved(new, 1)))
    first = go(store)
    assert listed(store, *first.batches) == ["g1", "g2", "g3"]
    state = read_states(store).row(0, named=True)
    assert (state["moved_to"], state["address"], state["shown"]) == (server.url("/new"), new, server.url("/old"))
    server.put("/new", page(1, 2, 3, 4))
    later = go(store, NOW + 6 * HOUR)
    assert (listed(store, *later.batches), server.asked["/old"]) == (["g4"], 1)
    del server.resources["/new"]
    back = go(store, NOW + 12 * HOUR)
    assert (back.failed, back.new_episodes, server.asked["/old"]) == ({}, 0, 2), (
        "what is gone is looked for in its old place"
    )
    assert "cannot be read: the server answered 404" in next(iter(back.notes.values()))
    assert "hunter2" not in repr((back.notes, state["moved_to"]))


@pytest.mark.parametrize("version", ["now", "before"])
def test_a_feed_that_gets_a_guid_where_it_moved_to_gives_no_episode_twice(
    server: WebServer, store: Store, version: str
) -> None:
    subscribe(store, server.put("/old", page(1)))
    go(store)
    if version == "before":
        state = read_states(store).drop("address", "pages", "continue_at", "podcast_guid", "passed_over")
        store.write_table("feed_state/feeds.parquet", state)
    server.put("/new", page(1, 2, channel="<podcast:guid>other</podcast:guid>"))
    server.put("/old", moved(server.url("/new"), 1))
    assert listed(store, *go(store, NOW + 6 * HOUR).batches) == ["g2"]
    server.put("/new", page(1, 2, 3, channel="<podcast:guid>third</podcast:guid>"))
    assert listed(store, *go(store, NOW + 12 * HOUR).batches) == ["g3"]


def test_a_permanent_redirect_is_followed_and_asked_for_directly_from_then_on(server: WebServer, store: Store) -> None:
    new = server.put("/show/new", page(1))
    server.resources["/show/new"].data = rss('<item><guid>r</guid><enclosure url="1.mp3"/></item>')
    subscribe(store, server.put("/old", Resource(answers=[(301, {"Location": new})])))
    first = go(store)
    row = json.loads(store.read(f"incoming/{first.batches[0]}.jsonl"))
    assert (row["url"], read_states(store)["address"].to_list()) == (server.url("/show/1.mp3"), [new])
    assert go(store, NOW + 6 * HOUR).changed == 0
    assert server.asked == {"/old": 1, "/show/new": 2}
    assert server.requests[-1].headers["If-None-Match"]


def test_moves_are_bounded_and_lead_to_no_private_address(server: WebServer, store: Store) -> None:
    with web_server(host="127.0.0.2") as inside:
        subscribe(store, server.put("/a", moved(inside.put("/secret", page(9)), 1)))
        done = go(store)
        assert (listed(store, *done.batches), inside.requests) == (["g1"], [])
        assert "cannot be read" in next(iter(done.notes.values()))
    for n in range(9):
        server.put(f"/m{n}", moved(f"/m{n + 1}", 2))
    subscribe(store, server.url("/m0"), server.put("/x", moved("/y", 3)), server.put("/z", moved("/z/", 4)))
    server.put("/y", moved("/x", 3))
    done = go(store, NOW + HOUR)
    assert (done.failed, list(done.notes.values())) == ({}, ["it says that it moved more than 5 times"])
    assert (server.asked["/m6"], server.asked["/y"], server.asked["/z/"]) == (0, 1, 0)


def test_what_is_passed_over_is_in_the_state_and_stays_there(server: WebServer, store: Store) -> None:
    items = ["<item><guid>t</guid></item>"] * 2 + episodes(1) + episodes(2, extra="<itunes:block>yes</itunes:block>")
    subscribe(store, server.put("/feed", Resource(rss(*items), content_type="text/xml")))
    expected = {"no enclosure": 2, "its publisher blocks it": 1}
    assert go(store).passed_over == expected
    assert go(store, NOW + 6 * HOUR).changed == 0
    assert {p["reason"]: p["entries"] for p in read_states(store)["passed_over"][0]} == expected


def test_states_of_earlier_versions_are_continued(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", page(1)))
    go(store)
    new = ("address", "pages", "continue_at", "podcast_guid", "passed_over")
    old = read_states(store).drop(new)
    store.write_table("feed_state/feeds.parquet", old)
    assert set(new) < set(empty_table(FEED_STATE).columns)
    assert (go(store, NOW + 6 * HOUR).changed, server.requests[-1].headers["If-None-Match"]) == (
        0,
        server.resources["/feed"].etag,
    )


def test_a_host_that_sets_a_cookie_and_redirects_to_itself_is_read(server: WebServer, store: Store) -> None:
    feed = page(1)
    feed.answers = [(302, {"Location": "/feed", "Set-Cookie": "seen=1; Path=/"})]
    subscribe(store, server.put("/feed", feed))
    assert go(store, by=web()).new_episodes == 1
    assert [r.headers.get("Cookie") for r in server.requests] == [None, "seen=1"]
