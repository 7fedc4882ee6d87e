"""What was taken down does not come back: not by its feed, not by a list of URLs; it is not even asked for."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.config.settings import Settings
from podcast_assets.intake import rights_ledger as rights
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.feeds import batching
from podcast_assets.intake.feeds.follow import read_states
from podcast_assets.intake.links import feed_episode_id, format_link_list
from podcast_assets.rights.takedown import TakedownRequest, take_down
from podcast_assets.stages.fetch import download_list
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import read_records
from podcast_assets_tests.intake.feeds.test_follow import HOUR, NOW, feed, go, listed, subscribe
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

GUID = "<podcast:guid>p</podcast:guid>"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def down(store: Store, name: str) -> None:
    order = TakedownRequest(name, "the host asked", None, datetime.datetime.now(datetime.UTC))
    take_down(store, order, shard_bytes=1 << 30)


def test_an_episode_of_a_feed_is_not_taken_again_and_the_ledger_keeps_its_rights_alone(
    server: WebServer, store: Store
) -> None:
    subscribe(store, server.put("/feed", feed(1, 2, channel=GUID)))
    go(store)
    gone = feed_episode_id("p", "g1")
    down(store, gone)
    rows = rights.read_history(store, "p").filter(episode_id=gone)
    assert rows.select(rights.DESCRIBING).null_count().row(0) == (rows.height, rows.height)
    assert rows["guid"].to_list() == ["g1"] * rows.height
    last = rights.latest_statements(store, "p")
    assert dict(last.select("guid", "taken").iter_rows()) == {"g1": False, "g2": True}
    assert "the host asked" in last.filter(guid="g1")["reason"][0]
    noted = rights.read_history(store, "p").height
    server.resources["/feed"] = feed(1, 2, 3, channel=GUID)
    later = go(store, NOW + 7 * HOUR)
    assert listed(store, *later.batches) == ["g3"]
    assert rights.read_history(store, "p").height == noted + 1, (
        "of the one that is new, and nothing of the one that is gone"
    )


def test_an_episode_that_waits_for_its_batch_is_let_go(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/feed", feed(1, 2, channel=GUID)))
    assert go(store, wait=HOUR).batches == []
    down(store, feed_episode_id("p", "g1"))
    assert batching.read_pending(store)["episode_id"].to_list() == [feed_episode_id("p", "g2")]
    assert listed(store, *go(store, NOW + 2 * HOUR, wait=HOUR).batches) == ["g2"]


def test_a_podcast_by_its_feed_is_not_looked_at_any_more(server: WebServer, store: Store) -> None:
    url = server.put("/feed", feed(1, channel=GUID))
    subscribe(store, url, server.put("/other", feed(2, channel="<podcast:guid>q</podcast:guid>")))
    go(store)
    down(store, url)
    (record,) = read_records(store).iter_rows(named=True)
    assert (record["scope"], record["podcast_ids"]) == ("podcast", ["p"])
    asked = dict(server.asked)
    done = go(store, NOW + 7 * HOUR)
    assert (server.asked["/feed"], server.asked["/other"]) == (asked["/feed"], asked["/other"] + 1)
    assert done.next_due is not None
    assert read_states(store).height == 1
    # under another address it is the same podcast
    subscribe(store, server.put("/moved", feed(1, 5, channel=GUID)))
    assert go(store, NOW + 14 * HOUR).batches == []


def test_a_feed_that_nobody_has_seen_can_be_refused_beforehand(server: WebServer, store: Store) -> None:
    url = server.put("/feed", feed(1))
    down(store, url)
    subscribe(store, url)
    assert go(store).looked == 0
    assert server.requests == []


def test_a_name_of_two_podcasts_is_not_guessed(server: WebServer, store: Store) -> None:
    subscribe(store, server.put("/one", feed(1, channel=GUID)))
    go(store)
    subscribe(store, server.put("/two", feed(2, channel="<podcast:guid>q</podcast:guid>")))
    go(store, NOW + HOUR)
    title = rights.read_ledger(store)["podcast"].unique().to_list()
    assert len(title) == 1
    with pytest.raises(BadInput, match="2 podcasts"):
        down(store, title[0])
    assert read_records(store).is_empty()


def test_a_link_of_a_list_is_not_downloaded(server: WebServer, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    rows = [
        {
            "url": server.put(f"/{n}.mp3", Resource(b"ID3" + bytes(200))),
            "podcast_guid": "p",
            "guid": f"g{n}",
            "title": "T",
        }
        for n in (1, 2)
    ]
    store.write("incoming/links.jsonl", format_link_list(rows))
    gone = feed_episode_id("p", "g1")
    rights.add_to_ledger(store, "p", _noted(gone))
    down(store, gone)
    settings = Settings(allow_hosts="127.0.0.1", download_host_delay=0)
    found = download_list(store, find_arrival(store, "links"), settings)
    assert server.asked == {"/2.mp3": 1}
    (source,) = found.unpacked.skipped
    assert "the host asked" in found.unpacked.skipped[source]
    assert found.unpacked.identities[source] == gone
    assert found.metadata.of(source) == {}
    assert [f.name for f in found.unpacked.files] == [rows[1]["url"]]


def _noted(identity: str) -> pl.DataFrame:
    from podcast_assets.store.schema import make_table
    from podcast_assets.store.schema_beside import RIGHTS

    row = dict.fromkeys(RIGHTS) | {
        "episode_id": identity,
        "podcast_guid": "p",
        "guid": "g1",
        "blocked": False,
        "taken": True,
    }
    return make_table([row | {"observed_at": NOW}], RIGHTS)
