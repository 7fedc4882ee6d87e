"""Feeds that keep their parser busy, or fill its memory, cost the others nothing."""

import threading
import time
from collections.abc import Iterator

import pytest

from podcast_assets.intake.feeds import follow, poll
from podcast_assets.intake.feeds.follow import read_states
from podcast_assets.intake.references import NoTranscript, parse_cues, select_references
from podcast_assets.store.store import Store
from podcast_assets_tests.intake.feeds.shapes import item, rss
from podcast_assets_tests.intake.feeds.test_follow import feed, go, listed, subscribe
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

pytestmark = pytest.mark.hostile


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def hostile() -> dict[str, bytes]:
    attributes = " ".join(f'a{n}="x"' for n in range(9_000))
    items = [item(f"g{n}", f"https://cdn.example/{n}.mp3") for n in range(200_000)]
    return {
        "three million unclosed tags after an entity": rss(title="&nope;", channel="<a>" * 3_000_000),
        "a million unclosed tags after an entity": rss(title="&nope;", channel="<a>" * 1_000_000),
        "many attributes after an entity": rss(title="&nope;", channel=f"<x {attributes}>" * 400),
        "200,000 items": rss(*items),
    }


def test_feeds_that_keep_their_parser_busy_starve_nobody(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "PARSE_SECONDS", 1.0)
    feeds = {
        server.put(f"/{n}", Resource(data, content_type="application/rss+xml")): name
        for n, (name, data) in enumerate(hostile().items())
    }
    subscribe(store, *feeds, server.put("/good", feed(1, 2)))
    found = go(store)
    assert listed(store, *found.batches) == ["g1", "g2"]
    told = {feeds[url]: message for url, message in found.failed.items()}
    assert told == dict.fromkeys(hostile(), "it cannot be read: it takes more than 1 s") | {
        "three million unclosed tags after an entity": "it has more than 2,000,000 tags"
    }
    states = read_states(store)
    assert sorted(states["failures"].to_list()) == [0, 1, 1, 1, 1]


def test_a_feed_is_recorded_while_others_are_polled(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_WRITE_SECONDS", 0.0)
    slow = feed(3)
    slow.hold = threading.Event()
    subscribe(store, server.put("/slow", slow), server.put("/good", feed(1, 2)))
    running = threading.Thread(target=go, args=[store])
    running.start()
    try:
        until = time.monotonic() + 60
        while read_states(store).is_empty() and time.monotonic() < until:
            time.sleep(0.05)
        assert read_states(store)["episodes"].to_list() == [2]
        assert follow.batching.read_pending(store).height == 2
    finally:
        slow.hold.set()
        running.join()
    assert sorted(read_states(store)["episodes"].to_list()) == [1, 2]


@pytest.mark.parametrize("number", ["inf", "nan", "1e300", "-1", "9" * 5_000, "x"])
def test_numbers_of_a_list_of_feeds_that_nobody_means_are_left_out(
    server: WebServer, store: Store, number: str
) -> None:
    store.write("feeds/f.csv", f"url,hours,newest\n{server.put('/f', feed(1, 2))},{number},{number}\n".encode())
    assert listed(store, *go(store).batches) == ["g1", "g2"]


@pytest.mark.parametrize("tags", ["<>", "<v a>", "<", "&lt;"])
def test_a_million_tags_in_a_cue_are_read(tags: str) -> None:
    (cue,) = parse_cues(b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello " + tags.encode() * 1_000_000, "vtt")
    assert cue["text"].startswith("Hello")


@pytest.mark.parametrize("time", ["1e999", "NaN", '"x"', "null", "9" * 5_000])
def test_a_cue_without_a_time_makes_no_transcript(time: str) -> None:
    data = f'{{"segments": [{{"startTime": {time}, "endTime": 1, "body": "Hello"}}]}}'
    with pytest.raises(NoTranscript, match="it cannot be read as json"):
        parse_cues(data.encode(), "json")


def test_a_transcript_list_in_a_cell_that_is_nested_too_deep_names_none() -> None:
    assert select_references({"transcripts": "[" * 100_000}) == []
