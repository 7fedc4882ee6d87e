"""From a feed on a real server to transcripts, by the sensor and the command."""

import json
from collections.abc import Iterator

import dagster as dg
import polars as pl
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.sensors.due_feeds import due_feeds
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.intake.links import feed_episode_id
from podcast_assets.intake.references import read_reference_rows
from podcast_assets.store.schema import FAILURES, QUALITY_SCORES, RAW_AUDIO, TRANSCRIPTS
from podcast_assets.store.store import Store, failures_key, table_key
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.intake.feeds.shapes import item, rss
from podcast_assets_tests.miniature import BATCH, load_reference
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

PODCAST = "917393e3-1b1e-5cef-ace4-edaa54e1f810"
EPISODES = ("night-science.mp3", "city-music.m4a")
SETTINGS = {"PODCAST_ALLOW_HOSTS": "127.0.0.1", "PODCAST_DOWNLOAD_HOST_DELAY": "0", "PODCAST_FEED_WAIT_HOURS": "0"}


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def offer(server: WebServer) -> None:
    """A feed with two episodes, one of which is cut off at first, and one that is gone."""
    vtt = "WEBVTT\n"
    for turn in load_reference("night-science"):
        vtt += f"\n{stamp(turn['start'])} --> {stamp(turn['end'])}\n<v Ada>{turn['text']}\n"
    server.put("/t.vtt", Resource(vtt.encode(), content_type="text/vtt"))
    items = [item("gone", server.url("/gone.mp3"))]
    for name in EPISODES:
        data = (BATCH / name).read_bytes()
        url = server.put(f"/{name}", Resource(data, cuts=[len(data) // 3]))
        reference = f'<podcast:transcript url="{server.url("/t.vtt")}" type="text/vtt"/>'
        items.append(item(name, f"{url}?token=hunter2", reference, title=name))
    channel = f"<language>en</language><podcast:guid>{PODCAST}</podcast:guid><podcast:license>CC0-1.0</podcast:license>"
    server.put("/feed", Resource(rss(*items, channel=channel), content_type="application/rss+xml"))


def stamp(seconds: float) -> str:
    return f"{seconds // 60:02.0f}:{seconds % 60:06.3f}"


def texts(store: Store, batch: str) -> dict[str, list[str]]:
    """Name of the recording → its texts."""
    episodes, rows = (
        store.read_table(table_key(a, batch), c) for a, c in (("raw_audio", RAW_AUDIO), ("transcripts", TRANSCRIPTS))
    )
    assert episodes is not None
    assert rows is not None
    joined = rows.join(episodes, on="episode_id", how="left", maintain_order="left")
    names = joined["source"].str.split("/").list.last().str.split("#").list.first()
    return {str(k[0]): v["text"].to_list() for k, v in joined.with_columns(names.alias("name")).group_by("name")}


def test_a_feed_becomes_transcripts(
    server: WebServer, place: Place, sample_run: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(server)
    store = place.store
    store.write("feeds/feeds.csv", f"url\n{server.url('/feed')}\n".encode())
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    resources = dict(build_definitions(Settings(store=str(store.root))).resources or {})
    with dg.DagsterInstance.ephemeral() as instance:
        due_feeds(dg.build_sensor_context(instance, resources=resources))
    (batch,) = list_incoming(store).arrivals
    result = place.command("backfill", "--here", "--profile", "demo", batch, **SETTINGS)
    assert result.returncode == 0, result.stderr
    rows = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    assert rows is not None
    assert dict(rows.select("episode_id", "status").iter_rows()) == {
        feed_episode_id(PODCAST, guid): status
        for guid, status in [("gone", "failed"), *((e, "done") for e in EPISODES)]
    }
    assert rows.filter(status="failed")["error"].to_list() == [f"{server.url('/gone.mp3')} answered 404 Not Found"]
    assert rows.filter(status="done")["license"].to_list() == ["CC0-1.0"] * 2
    failures = store.read_table(failures_key("ingest", batch), FAILURES)
    assert failures is not None
    assert failures.select("stage", "permanent").rows() == [("download", True)]
    found, expected = texts(store, batch), texts(sample_run.store, sample_run.batch)
    assert {name: found[name] for name in EPISODES} == {name: expected[name] for name in EPISODES}
    for name in EPISODES:
        reference = read_reference_rows(store, batch, feed_episode_id(PODCAST, name))
        assert reference is not None
        assert reference["speaker"].unique().to_list() == ["Ada"]
        assert reference["text"].to_list() == [t["text"] for t in load_reference("night-science")]
    scores = store.read_table(table_key("quality_scores", batch), QUALITY_SCORES)
    assert scores is not None
    right, wrong = (scores.filter(episode_id=feed_episode_id(PODCAST, name)) for name in EPISODES)
    assert right["reference_words"].sum() >= 0.9 * sum(len(t["text"].split()) for t in load_reference("night-science"))
    assert right.select(pl.col("reference_wer").dot("reference_words") / pl.col("reference_words").sum()).item() < 0.12
    assert wrong["reference_words"].null_count() == wrong.height, "it is of another recording"
    assert rights.read_ledger(store)["license"].to_list() == ["CC0-1.0"] * 3
    told = result.stderr + rows.drop("metadata").write_json() + failures.write_json()
    assert "hunter2" not in told
    shown = place.command("failures", batch, "--stage", "download", "--json")
    assert [row["episode_id"] for row in json.loads(shown.stdout)] == [feed_episode_id(PODCAST, "gone")], shown.stderr
    _again(place, server, batch)


def _again(place: Place, server: WebServer, batch: str) -> None:
    """To run it again asks nobody, and gives the same bytes."""
    keys = [table_key(asset, batch) for asset in ("raw_audio", "transcripts", "hf_shards")]
    before = [place.store.path(key).read_bytes() for key in keys]
    server.requests.clear()
    result = place.command("backfill", "--here", "--profile", "demo", batch, **SETTINGS)
    assert result.returncode == 0, result.stderr
    assert server.requests == []
    assert [place.store.path(key).read_bytes() for key in keys] == before
