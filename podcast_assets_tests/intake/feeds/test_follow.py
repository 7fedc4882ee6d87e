"""Feeds are followed politely, each new episode comes into one batch once, and what publishers allow is written down."""

import contextlib
import datetime
import gzip
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets.intake.feeds import batching
from podcast_assets.intake.feeds.batching import EPISODES, HOURS, assign_batches
from podcast_assets.intake.feeds.follow import FollowOptions, FollowResult, follow_feeds, read_states
from podcast_assets.intake.feeds.subscriptions import read_subscriptions
from podcast_assets.stages.episode_overrides import speaker_bounds
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import PENDING
from podcast_assets.store.store import Store
from podcast_assets_tests.intake.feeds.shapes import item, rss
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def web(**changes: Any) -> HttpClient:
    allowed: dict[str, Any] = {"allowed": frozenset({"127.0.0.1"})}
    return HttpClient(HostTurns(overall=8, per_host=4, delay=0), "test", **(allowed | changes))


def subscribe(store: Store, *urls: str, **columns: str) -> None:
    store.write(
        "feeds/feeds.csv",
        pl.DataFrame({"url": urls} | {k: [v] * len(urls) for k, v in columns.items()}).write_csv().encode(),
    )


def go(store: Store, now: datetime.datetime = NOW, *, by: HttpClient | None = None, **changes: Any) -> FollowResult:
    how = {"hours": 6.0, "wait": datetime.timedelta(0), "newest": None, "at_once": 4, "seconds": 30.0} | changes
    return follow_feeds(store, by or web(), read_subscriptions(store), FollowOptions(**how), now=now)


def episodes(*numbers: int, **extra: str) -> list[str]:
    date = "<pubDate>Fri, {:02} Nov 2026 10:00:00 GMT</pubDate>"
    return [
        item(f"g{n}", f"https://cdn.example/{n}.mp3?key=hunter2", date.format(n) + extra.get("extra", ""))
        for n in numbers
    ]


def feed(*numbers: int, extra: str = "", **options: str) -> Resource:
    return Resource(
        rss(*episodes(*numbers, extra=extra), **options), content_type="application/rss+xml", etag=f'"{numbers}{extra}"'
    )


def listed(store: Store, *batches: str) -> list[str]:
    rows = [json.loads(line) for b in batches for line in store.read(f"incoming/{b}.jsonl").decode().splitlines()]
    return sorted(row["guid"] for row in rows)


def test_new_episodes_become_a_list_of_urls_once(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1, 2)))
    first = go(store)
    assert (first.looked, first.changed, first.new_episodes, len(first.batches)) == (1, 1, 2, 1)
    assert first.batches[0].startswith("feeds-20261121-")
    assert listed(store, *first.batches) == ["g1", "g2"]
    arrival = list_incoming(store).arrivals[first.batches[0]]
    assert arrival.is_list
    assert go(store, NOW + HOUR).looked == 0
    server.resources["/feed"] = feed(1, 2, 3)
    later = go(store, NOW + 6 * HOUR)
    assert listed(store, *later.batches) == ["g3"]


def test_a_feed_that_has_not_changed_is_not_sent_again(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1)))
    go(store)
    again = go(store, NOW + 6 * HOUR)
    assert (again.looked, again.changed) == (1, 0)
    assert server.requests[-1].headers["If-None-Match"] == server.resources["/feed"].etag


def test_each_feed_has_its_own_interval(server: WebServer, store: Store) -> None:
    slow, quick = server.put("/slow", feed(1)), server.put("/quick", feed(2))
    store.write("feeds/feeds.csv", f"url,hours\n{slow},48\n{quick},1\n".encode())
    go(store)
    for hours in (1, 2, 3):
        go(store, NOW + hours * HOUR)
    assert server.asked == {"/slow": 1, "/quick": 4}


def test_a_feed_that_fails_is_asked_less_and_less_and_loses_nothing(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1)), server.put("/good", feed(2)))
    server.resources["/feed"].answers = [(500, {}), (503, {"Retry-After": "86400"})]
    first = go(store)
    assert list(first.failed.values()) == ["the server answered 500 Internal Server Error"]
    assert listed(store, *first.batches) == ["g2"]
    assert go(store, NOW + 6 * HOUR).failed
    assert go(store, NOW + 20 * HOUR).failed == {}
    assert server.asked["/feed"] == 2
    last = go(store, NOW + 31 * HOUR)
    assert listed(store, *last.batches) == ["g1"]
    assert read_states(store)["failures"].to_list() == [0, 0]


def test_private_feeds_of_one_host_fail_each_by_itself(server: WebServer, store: Store) -> None:
    subscribe(store, *(server.url(f"/private?token=hunter{n}") for n in (1, 2)))
    found = go(store).failed
    assert len(found) == 2
    assert "hunter" not in repr(found)


def test_a_host_that_has_too_much_to_do_is_left_alone_for_the_round(server: WebServer, store: Store) -> None:
    subscribe(store, *(server.put(f"/{n}", feed(n)) for n in range(1, 9)))
    for resource in server.resources.values():
        resource.answers = [(429, {})]
    assert go(store, at_once=1).looked == 1
    assert len(server.requests) == 1


def test_a_page_in_place_of_a_feed_is_said(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed?token=hunter2", Resource(b"<html>")), server.url("/feed"))
    server.put("/feed", Resource(b"<html>login</html>"))
    assert set(go(store).failed.values()) == {"it is not a feed"}
    assert "hunter2" not in repr(read_states(store).rows())


def test_private_addresses_are_refused(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1)))
    done = go(store, by=web(allowed=frozenset()))
    assert "is not on the public network" in done.failed[server.url("/feed")]
    assert server.requests == []


def test_packed_feeds_are_unpacked_within_bounds(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gzipped(data: bytes) -> Resource:
        return Resource(gzip.compress(data), content_type="text/xml", headers={"Content-Encoding": "gzip"})

    server.put("/feed", gzipped(rss(*episodes(1))))
    subscribe(store, server.url("/feed"))
    assert go(store).new_episodes == 1
    server.put("/bomb", gzipped(b" " * 30_000_000))
    subscribe(store, server.url("/bomb"))
    monkeypatch.setattr("podcast_assets.intake.feeds.poll.LARGEST", 10_000_000)
    assert list(go(store, NOW + HOUR).failed.values()) == ["it has more than 10,000,000 bytes"]


def test_what_a_publisher_blocks_is_noted_and_not_taken(server: WebServer, store: Store) -> None:
    subscribe(
        store,
        server.put(
            "/feed", feed(1, extra="<itunes:block>yes</itunes:block>", channel="<podcast:guid>p</podcast:guid>")
        ),
    )
    assert (go(store).new_episodes, list_incoming(store).arrivals) == (0, {})
    noted = rights.read_ledger(store).row(0, named=True)
    assert (noted["blocked"], noted["taken"], noted["reason"]) == (True, False, "its publisher blocks it")
    server.resources["/feed"] = feed(1, channel="<podcast:guid>p</podcast:guid>")
    assert go(store, NOW + 6 * HOUR).new_episodes == 1
    assert rights.read_history(store, "p")["taken"].to_list() == [False, True]


def test_a_list_says_how_many_speakers_a_feed_has_and_who_tells_them_apart(server: WebServer, store: Store) -> None:
    url = server.put("/feed", feed(1))
    subscribe(store, url, min_speakers="2", max_speakers="3.0", diarizer="none")
    row = json.loads(store.read(f"incoming/{go(store).batches[0]}.jsonl").decode())
    assert (row["min_speakers"], row["max_speakers"], row["diarizer"]) == (2, 3, "none")
    assert speaker_bounds(json.dumps(row), Settings(max_speakers=9)) == {"min_speakers": 2, "max_speakers": 3}
    other = server.put("/other", feed(2, channel="<podcast:guid>other</podcast:guid>"))
    subscribe(store, other, num_speakers="1", diarizer="")
    row = json.loads(store.read(f"incoming/{go(store).batches[0]}.jsonl").decode())
    assert (row["min_speakers"], row["max_speakers"], "diarizer" in row) == (1, 1, False)


def test_who_has_an_agreement_may_take_what_is_blocked(server: WebServer, store: Store) -> None:
    url = server.put("/feed", feed(1, channel="<itunes:block>yes</itunes:block>"))
    subscribe(store, url, take_blocked="true", license="by agreement", language="en")
    done = go(store)
    row = json.loads(store.read(f"incoming/{done.batches[0]}.jsonl").decode())
    assert (row["license"], row["language"]) == ("by agreement", "en")


def test_the_ledger_keeps_what_was_said_before(server: WebServer, store: Store) -> None:
    guid = "<podcast:guid>p</podcast:guid>"
    subscribe(store, server.put("/feed", feed(1, 2, channel=f"{guid}<podcast:license>cc-by-4.0</podcast:license>")))
    go(store)
    for hours, licence in ((6, "cc-by-4.0"), (12, "all-rights-reserved")):
        server.resources["/feed"] = feed(
            1, 2, channel=f"{guid}<podcast:license>{licence}</podcast:license>", extra=" " * hours
        )
        go(store, NOW + hours * HOUR)
    assert rights.read_history(store, "p")["license"].to_list() == ["cc-by-4.0"] * 2 + ["all-rights-reserved"] * 2
    latest = rights.latest_statements(store, "p")
    assert latest["license"].to_list() == ["all-rights-reserved"] * 2
    assert latest["taken"].to_list() == [True, True]
    assert "hunter2" not in repr(latest.rows())


def test_a_feed_that_moves_brings_no_episode_twice(server: WebServer, store: Store) -> None:
    guid = "<podcast:guid>p</podcast:guid>"
    subscribe(store, server.put("/old", feed(1, 2, channel=guid)))
    go(store)
    subscribe(store, server.put("/new", feed(1, 2, 3, channel=guid)))
    done = go(store, NOW + HOUR)
    assert listed(store, *done.batches) == ["g3"]


def test_two_feeds_of_one_podcast_bring_each_episode_once(server: WebServer, store: Store) -> None:
    guid = "<podcast:guid>p</podcast:guid>"
    subscribe(store, *(server.put(f"/{n}", feed(1, 2, channel=guid)) for n in range(3)))
    assert listed(store, *go(store).batches) == ["g1", "g2"]


def test_only_the_newest_are_taken_where_somebody_says_so(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1, 2, 3, 4)), newest="2")
    assert listed(store, *go(store).batches) == ["g3", "g4"]
    server.resources["/feed"] = feed(1, 2, 3, 4, 5)
    assert listed(store, *go(store, NOW + 6 * HOUR).batches) == ["g5"]


def test_episodes_wait_for_others_until_their_time_is_over(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1, 2)))
    wait = datetime.timedelta(hours=8)
    first = go(store, wait=wait)
    assert (first.batches, first.next_due is not None) == ([], True)
    server.resources["/feed"] = feed(1, 2, 3)
    assert go(store, NOW + 6 * HOUR, wait=wait).batches == []
    last = go(store, NOW + 8 * HOUR, wait=wait)
    assert listed(store, *last.batches) == ["g1", "g2", "g3"]
    assert batching.read_pending(store).is_empty()


@pytest.mark.parametrize("crash", ["feed_state/pending", "incoming/", "rights/", "feed_state/feeds"])
@pytest.mark.parametrize("after", [False, True], ids=["before it is written", "after"])
def test_a_crash_at_any_write_loses_nothing_and_brings_nothing_twice(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch, crash: str, after: bool
) -> None:
    subscribe(store, *(server.put(f"/{p}", feed(1, 2, channel=f"<podcast:guid>{p}</podcast:guid>")) for p in "ab"))
    write = Store.write

    def crashing(self: Store, key: str, data: bytes) -> None:
        if key.startswith(crash) and not after:
            raise KeyboardInterrupt
        write(self, key, data)
        if key.startswith(crash):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write", crashing)
        with pytest.raises(KeyboardInterrupt):
            go(store, hours=0.5)
    for p in "ab":  # meanwhile there is more
        server.resources[f"/{p}"] = feed(1, 2, 3, channel=f"<podcast:guid>{p}</podcast:guid>")
    for hours in (1, 7, 14):
        go(store, NOW + hours * HOUR, hours=0.5)
    lists = [b for b in list_incoming(store).arrivals if b.startswith("feeds-")]
    assert listed(store, *lists) == ["g1", "g1", "g2", "g2", "g3", "g3"]


def waiting(*lengths: float | None, minutes: int = 0) -> pl.DataFrame:
    rows = [
        {"episode_id": f"e{n:04}", "found_at": NOW, "batch": None, "seconds": seconds, "row": "{}"}
        for n, seconds in enumerate(lengths)
    ]
    return make_table(rows, PENDING)


def sizes(rows: pl.DataFrame) -> list[int]:
    return sorted(rows.drop_nulls("batch")["batch"].value_counts()["count"].to_list(), reverse=True)


def test_a_batch_is_full_by_number_or_by_hours() -> None:
    wait = datetime.timedelta(days=1)
    assert sizes(assign_batches(waiting(*[60.0] * (2 * EPISODES + 5)), now=NOW, wait=wait)) == [EPISODES, EPISODES]
    assert sizes(assign_batches(waiting(*[HOURS * 1800] * 5), now=NOW, wait=wait)) == [2, 2]
    assert sizes(assign_batches(waiting(*[None] * 41), now=NOW, wait=wait)) == [40]
    assert sizes(assign_batches(waiting(60.0, 60.0), now=NOW + wait, wait=wait)) == [2]


def test_what_was_assigned_stays_where_it_is() -> None:
    first = assign_batches(waiting(*[60.0] * EPISODES), now=NOW, wait=HOUR)
    more = pl.concat([first, waiting(*[60.0] * 3).with_columns(pl.col("episode_id").str.replace("e", "a"))])
    again = assign_batches(more, now=NOW, wait=HOUR)
    assert again.drop_nulls("batch").sort("episode_id").equals(first.sort("episode_id"))


def test_lists_of_feeds_in_every_format(store: Store, tmp_path: Path) -> None:
    store.write(
        "feeds/feeds.opml",
        b"""<?xml version="1.0"?><opml version="2.0"><body><outline text="News"><outline type="rss" text="A"
        xmlUrl="https://a.example/rss"/></outline><outline xmlUrl="https://b.example/rss"/><outline text="none"/></body></opml>""",
    )
    store.write("feeds/more.csv", b"feed_url,language,hours,newest,take_blocked\nhttps://c.example/rss,de,12,5,yes\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "dump.db")) as connection:
        connection.execute("create table podcasts (id integer, url text, dead integer)")
        connection.executemany(
            "insert into podcasts values (?, ?, ?)", [(1, "https://d.example/rss", 0), (2, "https://e", 1)]
        )
        connection.commit()
    store.upload(tmp_path / "dump.db", "feeds/podcastindex.db")
    store.write_table(
        "feeds/x.parquet", pl.DataFrame({"url": ["https://f.example/rss", "https://a.example/rss", None]})
    )
    store.write("feeds/broken.opml", b"<opml><body>")
    store.write("feeds/notes.txt", b"nothing")
    found = read_subscriptions(store)
    assert sorted(s.url[8] for s in found.feeds.values()) == ["a", "b", "c", "d", "f"]
    told = next(s for s in found.feeds.values() if s.url == "https://c.example/rss")
    assert (told.language, told.hours, told.newest, told.take_blocked) == ("de", 12.0, 5, True)
    assert list(found.troubles) == ["broken.opml"]
