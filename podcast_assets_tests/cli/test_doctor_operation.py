"""The doctor looks at what runs share: clocks, disks, GPUs and the Ray cluster."""

import time
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.cli.doctor import DoctorReport, capacity, clock, cluster
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.config.settings import Settings
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.waiting import free_port

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("there", "state", "said"),
    [
        (NOW + 0.2, "ok", "agree within 1 s"),
        (NOW - 55, "ok", "agree within 55 s"),
        (NOW - 90, "warning", "90 s ahead of the store"),
        (NOW + 1000, "warning", "999 s behind the store"),
    ],
)
def test_a_minute_between_two_clocks_matters(there: float, state: str, said: str) -> None:
    found = clock.judge("the store", there, NOW, NOW + 1)
    assert (found.state, said in found.what) == (state, True), found.what


def test_the_clock_of_a_store(store: Store) -> None:
    """Of a bucket its server's, of a folder its file system's."""
    if store.is_local:
        assert clock.examine("the store", lambda: clock.store_time(store)) == [], "it does not exist yet"
    store.write("a", b"x")
    (found,) = clock.examine("the store", lambda: clock.store_time(store))
    assert found.state == "ok", found.what
    assert [entry.key for entry in store.list("")] == ["a"], "nothing is left behind"


def test_a_clock_that_cannot_be_read_is_a_warning() -> None:
    def refuse() -> float:
        raise OSError("GET https://me:secret@host/a refused")

    (found,) = clock.examine("the store", refuse)
    assert (found.state, found.what) == ("warning", "the clock of the store cannot be read: GET https://host/a refused")


def test_batches_that_wait_are_held_against_the_disk(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    assert capacity.examine_disk(store) == []
    store.write("incoming/small/a.mp3", b"x" * 1000)
    store.write("incoming/done/a.mp3", b"x" * 1000)
    store.write("incoming/list.jsonl", b"{}")
    for asset in ASSETS:
        store.write(table_key(asset, "done"), b"committed")
    (found,) = capacity.examine_disk(store)
    assert (found.state, found.what) == ("ok", "1 batch waiting, about 0.0 GB to process")
    (found,) = capacity.judge_disk({"a": 10**9, "b": 2 * 10**9}, 7 * 10**9)
    assert (found.state, found.what) == ("warning", "2 batches waiting, about 9.0 GB to process, and 7.0 GB are free")
    (found,) = capacity.judge_disk({"a": 10**9, "b": 2 * 10**9}, 5 * 10**9)
    assert "batch b alone needs about 6.0 GB" in found.what


def test_slots_and_gpus() -> None:
    assert capacity.judge_pool(1, 0) == []
    assert [f.state for f in capacity.judge_pool(2, 2)] == ["ok"]
    for slots, said in ((3, "while they hold a slot"), (1, "some stay idle")):
        (found,) = capacity.judge_pool(slots, 2)
        assert (found.state, said in found.what, found.todo) == ("warning", True, "podcast-assets init --gpus 2")
    assert capacity.gpus_to_use(Settings(gpus="0,2"), 4) == 2
    assert capacity.gpus_to_use(Settings(), None) == 0


def test_a_cluster_that_does_not_answer() -> None:
    assert cluster.examine(Settings()) == []
    pytest.importorskip("ray")
    address = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    for given in (address, f"ray://{address}"):
        (found,) = cluster.examine(Settings(compute="ray", ray_address=given))
        assert (found.state, found.blocks) == ("missing", True)
        assert f"nothing answers at PODCAST_RAY_ADDRESS={given}" in found.what
    assert time.monotonic() - began < 60, "Ray itself would wait for minutes"
    (alone,) = cluster.examine(Settings(compute="ray"))
    assert alone.state == "ok"


def test_what_a_cluster_has() -> None:
    resources = {"CPU": 8.0, "GPU": 2.0, "node:10.0.0.1": 1.0, "node:__internal_head__": 1.0}
    nodes: list[dict[str, Any]] = [
        {"Alive": True, "NodeManagerHostname": "one"},
        {"Alive": False, "NodeManagerHostname": "two"},
        {"Alive": False, "NodeManagerHostname": "one"},
    ]
    up, lost = cluster.judge("h:6379", resources, nodes, needs_gpus=True)
    assert up.what == "the cluster at h:6379 answers: 1 machine(s), 8 CPU cores, 2 GPUs"
    assert (lost.state, lost.what) == ("warning", "lost since the head started: two"), "the other one has come back"
    (without,) = cluster.judge("h:6379", {"CPU": 8.0}, nodes[:1], needs_gpus=True)
    assert without.blocks


def test_the_severity_is_that_of_the_worst_finding() -> None:
    fine, odd = Finding("a", "ok", "x"), Finding("a", "warning", "x")
    optional, broken = Finding("a", "missing", "x"), Finding("a", "missing", "x", blocks=True)
    assert DoctorReport("cpu", [fine, optional]).severity == "ok", "what the profile does not need may be missing"
    assert DoctorReport("cpu", [fine, odd]).severity == "warning"
    assert DoctorReport("cpu", [odd, broken]).severity == "error"
    assert DoctorReport(None, []).severity == "error"
