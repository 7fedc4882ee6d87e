"""What an upgrade or another engine would process again is found, with hours and reasons, before anything runs."""

import datetime
import json
from pathlib import Path
from typing import Any

import click
import dagster as dg
import polars as pl
import pytest
from click.testing import CliRunner

from podcast_assets.cli.backfill import backfill
from podcast_assets.config.settings import Settings
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.redo_guard import hold_redo
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.engines.engine import Engine
from podcast_assets.rights.discard import discard
from podcast_assets.stages.diarize import Diarize
from podcast_assets.stages.ingest import Ingest
from podcast_assets.stages.package import Package
from podcast_assets.stages.profiles import Profile, make_profile
from podcast_assets.stages.provenance import describe_engine
from podcast_assets.stages.redo import difference, find_redo
from podcast_assets.stages.score import Score
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.commits import commit
from podcast_assets.store.override_records import CHOICES, OVERRIDE_RECORDS
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, TABLES, empty_table, make_table
from podcast_assets.store.store import Store

HOURS = {"a": 8.0, "b": 4.0}
SETTINGS = Settings(profile="demo")
DEMO = make_profile(SETTINGS, "demo", "")


def provenance(stage: Any, engine: Engine | None, **changes: Any) -> pl.DataFrame:
    made_with = json.loads(describe_engine(stage, engine)) | changes
    rows = [
        dict.fromkeys(PROVENANCE) | {"episode_id": e, "fingerprint": e * 32, "made_with": json.dumps(made_with)}
        for e in HOURS
    ]
    return make_table(rows, PROVENANCE)


def commit_made(store: Store, batch: str, profile: Profile = DEMO, **diarize: Any) -> None:
    """Commit a batch as if these engines had made it."""
    rows = [
        dict.fromkeys(RAW_AUDIO)
        | {"episode_id": e, "source": f"{e}.mp3", "status": "done", "duration": hours * 3600, "language": "en"}
        for e, hours in HOURS.items()
    ]
    made = {
        "raw_audio": (make_table(rows, RAW_AUDIO), provenance(Ingest, None)),
        "diarized_segments": (None, provenance(Diarize, profile.diarizer, **diarize)),
        "transcripts": (None, provenance(Transcribe, profile.transcriber.for_inputs({"language": "en"}))),
        "quality_scores": (None, provenance(Score, profile.scorer)),
        "hf_shards": (None, provenance(Package, None)),
    }
    for asset, (table, own) in made.items():
        commit(store, asset, batch, empty_table(TABLES[asset]) if table is None else table, own, empty_table(FAILURES))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.at(tmp_path / "store")
    commit_made(store, "x")
    return store


def test_the_same_engines_do_nothing_again_also_on_another_device(store: Store) -> None:
    assert find_redo(store, SETTINGS, DEMO, ["x", "new"]).hours == 0
    elsewhere = SETTINGS.model_copy(update={"engines": {"faster-whisper": {"threads": 3}, "dnsmos": {"device": "cpu"}}})
    assert find_redo(store, elsewhere, make_profile(elsewhere, "demo", ""), ["x"]).hours == 0


def test_another_engine_or_setting_and_an_upgrade_are_found_with_their_hours(store: Store) -> None:
    none = Settings(profile="demo", diarizer="none")
    redo = find_redo(store, none, make_profile(none, "demo", ""), ["x"])
    assert (redo.hours, redo.batches) == (12.0, {"x"})
    assert "12.0 h of finished audio in 1 batch" in redo.describe()
    assert "diarize 12.0 h, embedded → none" in redo.describe()
    beam = Settings(profile="demo", engines={"faster-whisper": {"beam_size": 9}})
    assert [r for r, _ in find_redo(store, beam, make_profile(beam, "demo", ""), ["x"]).by_reason] == ["transcribe"]
    commit_made(store, "old", version="1")
    upgraded = find_redo(store, SETTINGS, DEMO, ["x", "old"])
    assert (upgraded.batches, dict(upgraded.by_reason)) == ({"old"}, {("diarize", "version 1 → 2"): 12 * 3600.0})
    assert find_redo(store, SETTINGS, None, ["x", "old"]).batches == {"old"}, "versions are known without engines"


def test_discarded_chosen_and_named_episodes_do_not_count(store: Store) -> None:
    none = Settings(profile="demo", diarizer="none")
    profile = make_profile(none, "demo", "")
    assert find_redo(store, none, profile, ["x"], without={("x", "a")}).hours == 4.0
    record = dict.fromkeys(CHOICES) | {"batch": "x", "episode_id": "b", "source": "b.mp3", "diarizer": "embedded"}
    OVERRIDE_RECORDS.write(store, record | {"at": datetime.datetime.now(datetime.UTC)})
    assert find_redo(store, none, profile, ["x"]).hours == 8.0, "its engine is still the same"
    discard(store, ["x/a"], "only music", None, datetime.datetime.now(datetime.UTC))
    assert find_redo(store, none, profile, ["x"]).hours == 0.0


def test_a_model_of_another_name_or_content_is_another_engine(store: Store) -> None:
    named = Settings(profile="cpu", whisper_model="no-such/model")
    other = Settings(profile="cpu", whisper_model="no-such/larger")
    commit_made(store, "y", make_profile(named, "cpu", ""))
    assert ("transcribe", "model no-such/model → no-such/larger") in find_redo(
        store, other, make_profile(other, "cpu", ""), ["y"]
    ).by_reason
    before = {"version": "1", "engine": "e", "settings": {"model": "m", "beam": 5}, "model": "abc"}
    assert difference(before, before) is None
    assert difference(before, before | {"model": "def"}) == "e: other settings or another model"
    assert difference(before, before | {"model": None}) is None, "it is not on this machine yet"
    assert difference(before, before | {"settings": {"beam": 6}}) == "e: other settings or another model"


def ask(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, list[str]]:
    monkeypatch.setenv("PODCAST_STORE", str(store.root))
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("PODCAST_DIARIZER", "none")
    started: list[str] = []
    monkeypatch.setattr(
        "podcast_assets.cli.backfill.run_batches_here",
        lambda _instance, _settings, chosen: started.extend(chosen) or True,
    )
    result = CliRunner().invoke(backfill, ["x", "--here", "--profile", "demo", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit | click.ClickException):
        return 2, f"{result.output}{result.exception}", started
    return result.exit_code, result.output, started


def test_a_command_says_so_and_asks(store: Store, dagster_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("incoming/x.tar", b"x")
    code, said, started = ask(store, dagster_home, monkeypatch)
    assert (code, started) == (2, [])
    assert "embedded → none" in said
    assert "pass --yes" in said
    assert ask(store, dagster_home, monkeypatch, "--yes")[2] == ["x"]
    monkeypatch.setenv("PODCAST_REDO_HOURS", "12.5")
    assert ask(store, dagster_home, monkeypatch)[2] == ["x"], "less than what may be done unasked"


def test_the_sensor_holds_such_batches_says_what_to_set_and_runs_the_others(store: Store, dagster_home: Path) -> None:
    store.write("incoming/x.tar", b"x")
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        instance.add_dynamic_partitions(BATCHES, ["x"])

        def tick(**changes: Any) -> Any:
            settings = Settings(store=str(store.root), profile="demo", diarizer="none", settle_seconds=0, **changes)
            resources = {"store": StoreResource(root=settings.store), "settings": settings}
            context = dg.build_sensor_context(instance, resources=resources)
            new_batches(context)
            return new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))

        held = tick()
        assert isinstance(held, dg.SkipReason)
        assert "embedded → none" in str(held.skip_message)
        assert "PODCAST_REDO_HOURS" in str(held.skip_message)
        store.write("incoming/new.tar", b"x")
        others = tick()
        assert isinstance(others, dg.SensorResult)
        assert [r.partition_key for r in others.run_requests or ()] == ["new"]
        agreed = tick(redo_hours=float("inf"))
        assert isinstance(agreed, dg.SensorResult)
        assert {r.partition_key for r in agreed.run_requests or ()} == {"new", "x"}
        assert hold_redo(instance, SETTINGS, store, ["x"]).batches == frozenset()
