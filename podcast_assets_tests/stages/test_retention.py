"""Sources go where people ask for it, when everything that came of them is committed, and never otherwise."""

import os
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL, raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.intake.arrivals import find_arrival, list_incoming
from podcast_assets.intake.place import place_inputs
from podcast_assets.stages.retention import commit_times, reason_to_keep, remove_sources
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure

OLD, BEFORE = 1_000.0, 2_000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


def aged(store: Store, batch: str) -> None:
    for asset in ASSETS:
        os.utime(str(store.path(table_key(asset, batch))), (OLD, OLD))


def kept(store: Store, batch: str, known: str | None = None) -> str | None:
    arrival = find_arrival(store, batch)
    return reason_to_keep(store, arrival, known or arrival.signature, commit_times(store), before=BEFORE)


def test_everything_that_is_doubtful_stays(store: Store) -> None:
    store.write("incoming/x.tar", b"archive")
    assert kept(store, "x") == "raw_audio is not committed"
    commit_batch(store, "x", without="hf_shards")
    for asset in list(ASSETS)[:-1]:
        os.utime(str(store.path(table_key(asset, "x"))), (OLD, OLD))
    assert kept(store, "x") == "hf_shards is not committed"
    commit_batch(store, "x")
    assert kept(store, "x") == "raw_audio was committed too recently"
    aged(store, "x")
    assert kept(store, "x") is None
    assert kept(store, "x", "another") == "it differs from what was materialized last"
    commit_batch(store, "x", failure("transcribe"))
    aged(store, "x")
    assert kept(store, "x") == "transcripts has failures that can be retried"
    commit_batch(store, "x", failure("transcribe", permanent=True))
    aged(store, "x")
    assert kept(store, "x") is None
    lost = dict.fromkeys(RAW_AUDIO) | {"episode_id": "x-tar-failed", "source": "x.tar", "status": "failed"}
    commit(store, "raw_audio", "x", make_table([lost], RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))
    aged(store, "x")
    assert kept(store, "x") == "x.tar could not be extracted from it"
    store.write(table_key("raw_audio", "x"), b"rotten")
    aged(store, "x")
    assert kept(store, "x") == "raw_audio cannot be read"


def test_only_what_is_known_and_free_goes(store: Store, tmp_path: Path) -> None:
    for batch in ("gone", "busy", "locked", "unknown", "changed"):
        store.write(f"incoming/{batch}.tar", batch.encode())
        commit_batch(store, batch)
        aged(store, batch)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.mp3").write_bytes(b"audio")
    place_inputs(store, [tmp_path / "folder"], "folder")
    store.write("incoming/folder/_READY", b"")
    store.write("incoming/gone.meta.csv", b"meta_id\n")
    commit_batch(store, "folder")
    aged(store, "folder")
    known = {b: a.signature for b, a in list_incoming(store).arrivals.items() if b != "unknown"}
    known["changed"] = "what it was before"
    with store.batch_lock("locked"):
        removed = remove_sources(store, known, before=BEFORE, busy={"busy"})
    assert sorted(r.batch for r in removed) == ["folder", "gone"]
    assert sorted(list_incoming(store).arrivals) == ["busy", "changed", "locked", "unknown"]
    assert list_incoming(store).refused == {}
    assert (tmp_path / "folder" / "a.mp3").read_bytes() == b"audio", "the person's own file"
    assert store.exists(table_key("raw_audio", "gone"))


@pytest.mark.parametrize("days", [None, 1.0])
def test_the_janitor_removes_sources_only_where_the_settings_say_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float | None
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    store.write("incoming/x.tar", b"archive")
    commit_batch(store, "x")
    aged(store, "x")
    if days is not None:
        monkeypatch.setenv("PODCAST_KEEP_SOURCES_DAYS", str(days))
    job = build_definitions(Settings(store=str(store.root))).resolve_job_def("tidy_up")
    with dg.DagsterInstance.ephemeral() as instance:
        done = {ARRIVAL: find_arrival(store, "x").signature}
        instance.report_runless_asset_event(dg.AssetMaterialization(raw_audio.key, partition="x", metadata=done))
        result = job.execute_in_process(instance=instance)
    (output,) = result.filter_events(lambda e: e.is_successful_output)
    told = {k: v.value for k, v in output.step_output_data.metadata.items()}
    assert told.get("sources_removed") == (None if days is None else 1)
    assert store.exists("incoming/x.tar") == (days is None)
