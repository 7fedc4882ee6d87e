"""The sensor `due_feeds`: what it writes is a batch like any other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.sensors.due_feeds import due_feeds
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.store.store import Store
from podcast_assets_tests.intake.feeds.shapes import item, rss
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server


def resources_of(store: Store) -> dict[str, Any]:
    settings = Settings(store=str(store.root), allow_hosts="127.0.0.1", feed_wait_hours=0, settle_seconds=0)
    return dict(build_definitions(settings).resources or {})


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        running.put("/feed", Resource(rss(item("1", "https://cdn.example/1.mp3")), content_type="text/xml"))
        yield running


def tick(instance: dg.DagsterInstance, store: Store, cursor: str | None) -> tuple[str, str | None]:
    context = dg.build_sensor_context(instance, cursor=cursor, resources=resources_of(store))
    result = due_feeds(context)
    assert isinstance(result, dg.SkipReason)
    return str(result.skip_message), context.cursor


def test_a_new_episode_of_a_feed_is_requested_as_a_batch(server: WebServer, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("feeds/feeds.csv", f"url\n{server.url('/feed')}\n".encode())
    with dg.DagsterInstance.ephemeral() as instance:
        said, cursor = tick(instance, store, None)
        assert "1 of 1 feeds were due, 1 had changed, 0 failed; 1 new episodes; batches: feeds-" in said
        resources = resources_of(store)
        context = dg.build_sensor_context(instance, resources=resources)
        new_batches(context)
        result = new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))
    assert isinstance(result, dg.SensorResult)
    assert [r.partition_key for r in result.run_requests or []] == list(list_incoming(store).arrivals)
    assert cursor is not None


def test_what_is_passed_over_is_in_the_message(server: WebServer, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    pdf = '<item><enclosure url="https://cdn.example/2" type="application/pdf"/></item>'
    items = [item("1", "https://cdn.example/1"), pdf, "<item><guid>3</guid></item>"]
    server.put("/feed", Resource(rss(*items), content_type="text/xml"))
    store.write("feeds/feeds.csv", f"url\n{server.url('/feed')}\n".encode())
    with dg.DagsterInstance.ephemeral() as instance:
        said, _ = tick(instance, store, None)
    assert "1 new episodes; passed over: 1 an enclosure that is application/pdf, 1 no enclosure; batches: " in said


def test_a_tick_with_nothing_due_asks_nobody_and_a_changed_list_is_seen_at_once(
    server: WebServer, tmp_path: Path
) -> None:
    store = Store.at(tmp_path)
    store.write("feeds/feeds.csv", f"url\n{server.url('/feed')}\n".encode())
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = tick(instance, store, None)
        said, cursor = tick(instance, store, cursor)
        assert (said, len(server.requests)) == ("no feed is due", 1)
        server.put("/other", Resource(rss(item("2", "https://cdn.example/2.mp3")), content_type="text/xml"))
        store.write("feeds/more.csv", f"url\n{server.url('/other')}\n".encode())
        said, cursor = tick(instance, store, cursor)
        assert "1 of 2 feeds were due" in said
        for lost in (None, "[]", '{"next": "soon"}'):
            said, _ = tick(instance, store, lost)
            assert "0 of 2 feeds were due" in said
    assert len(list_incoming(store).arrivals) == 2


def test_without_feeds_it_waits_for_some(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        said, cursor = tick(instance, Store.at(tmp_path), None)
        assert said.startswith("0 of 0 feeds")
        assert json.loads(cursor or "")["next"] > 4e9
        assert tick(instance, Store.at(tmp_path), cursor)[0] == "no feed is due"


def test_it_is_loaded_with_everything_else() -> None:
    assert "due_feeds" in {sensor.name for sensor in build_definitions(Settings()).sensors or []}
