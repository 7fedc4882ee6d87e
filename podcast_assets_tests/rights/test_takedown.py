"""The sample batch after takedowns, by the real commands: all of an episode goes, nothing else does, and it does not come back."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.rights.store_clearance import judge_store
from podcast_assets.store.backends.folder import Folder
from podcast_assets.store.schema import ASSETS, TABLES
from podcast_assets.store.store import Store, table_key
from podcast_assets.store.takedown_records import read_records
from podcast_assets_tests import forked, miniature
from podcast_assets_tests.conftest import Place, SampleRun, SharedFolders
from podcast_assets_tests.forked import Child

SEALING = {"PODCAST_SHARD_BYTES": "300000", "PODCAST_GRAINS": "segments,episodes"}
"""Several shards, most of them with samples of several episodes."""
SAMPLE = miniature.BATCH
FILE = "city-music.m4a"
REASON = "the host asked for it"


def run(place: Place, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `podcast-assets …` as all these tests do."""
    return forked.command(*arguments, environment=place.environment(**SEALING, **variables), cwd=place.folder)


@pytest.fixture(scope="session")
def two_batches(sample_run: SampleRun, shared_folders: SharedFolders) -> Place:
    """The sample batch in many shards, and a folder with another name of one of its files, and with one that only it has."""

    def make(folder: Path) -> None:
        place = Place(folder)
        shutil.copytree(str(sample_run.store.root), folder / "store")
        again = run(place, "demo", "--json")
        assert again.returncode == 0, again.stderr
        files = folder / "files"
        files.mkdir()
        shutil.copy(SAMPLE / FILE, files / "another-name.m4a")
        shutil.copy(SAMPLE / "water-history.opus", files / "water.opus")
        other = run(place, "run", files, "--batch", "other", "--profile", "demo", "--json")
        assert other.returncode == 0, other.stderr

    return Place(shared_folders.make_once("takedown", make))


@pytest.fixture
def fresh(two_batches: Place, tmp_path: Path) -> Place:
    """A copy that a test may change."""
    for name in ("store", "dagster_home"):
        shutil.copytree(two_batches.folder / name, tmp_path / name)
    return Place(tmp_path)


def tree(place: Place, *leave_out: str) -> dict[str, str]:
    """Key → SHA-256 of every file of the store, without locks, scratch and what crashes leave for the janitor."""
    root = place.folder / "store"
    files = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file() and p.suffix != ".part"}
    left = {k: p for k, p in files.items() if not k.startswith(("scratch/", *leave_out))}
    return {key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in sorted(left.items())}


def rows(store: Store, asset: str, batch: str) -> pl.DataFrame:
    found = store.read_table(table_key(asset, batch), TABLES[asset])
    assert found is not None
    return found


def episode(store: Store, batch: str, source: str) -> dict[str, str]:
    return rows(store, "raw_audio", batch).filter(source=source).row(0, named=True)


def shards_with(store: Store, batch: str, identity: str) -> set[str]:
    tables = (rows(store, a, batch).filter(episode_id=identity) for a in ("hf_shards", "episode_shards"))
    return {f"sealed/{batch}/{shard}" for t in tables for shard in t["shard"]}


def shards_of(place: Place) -> dict[str, str]:
    return {k: v for k, v in tree(place).items() if k.startswith("sealed/")}


def take_down(place: Place, name: str, *more: str, **variables: str) -> dict:
    result = run(place, "takedown", name, "--reason", REASON, "--json", *more, **variables)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_all_of_an_episode_goes_with_its_copies_and_nothing_else_changes(fresh: Place) -> None:
    store = fresh.store
    gone = [("sample", episode(store, "sample", FILE)), ("other", episode(store, "other", "another-name.m4a"))]
    ids, sha256 = {e["episode_id"] for _, e in gone}, gone[0][1]["sha256"]
    before = shards_of(fresh)
    held = {key for batch, e in gone for key in shards_with(store, batch, e["episode_id"])}
    assert 0 < len(held) < len(before)
    assert len(ids) == 2

    told = take_down(fresh, FILE, "--by", "legal@example.org")

    after = shards_of(fresh)
    assert {k: v for k, v in after.items() if k in before} == {k: v for k, v in before.items() if k not in held}
    assert set(told["shards"]) == held
    for batch in ("sample", "other"):
        for asset in (*ASSETS, "episode_shards"):
            table = rows(store, asset, batch)
            left = table.filter(pl.col("episode_id").is_in(list(ids)))
            assert left.height == (asset == "raw_audio"), asset
        row = rows(store, "raw_audio", batch).filter(pl.col("episode_id").is_in(list(ids))).row(0, named=True)
        assert row["status"] == "skipped"
        assert REASON in row["error"]
        assert {k for k, v in row.items() if v is not None} == {"episode_id", "source", "status", "error"}
    for key in tree(fresh, "takedowns/"):
        assert sha256 not in key, key
        assert not any(i in key for i in ids), key
    for key in (k for k in after if k not in before):
        assert not any(i.encode() in store.read(key) for i in ids), key
    assert told["remains"] == ["incoming/sample.tar"], "an archive cannot be rewritten"
    assert not store.exists("incoming/other/another-name.m4a")
    assert store.exists("incoming/other/water.opus")
    record = read_records(store).row(0, named=True)
    assert (record["reason"], record["by"], record["remains"]) == (REASON, "legal@example.org", ["incoming/sample.tar"])
    assert record["finished_at"] >= record["at"]
    assert set(record["episode_ids"]) == ids


def test_it_does_not_come_back_and_no_other_shard_is_sealed_again(fresh: Place) -> None:
    store, unsteady = fresh.store, ("provenance/", "tables/raw_audio/")
    take_down(fresh, FILE)
    before, sample, other = (tree(fresh, *unsteady), *(rows(store, "raw_audio", b) for b in ("sample", "other")))
    for arguments in (("demo", "--json"), ("backfill", "--here", "--profile", "demo", "other")):
        again = run(fresh, *arguments)
        assert again.returncode == 0, again.stderr
    assert tree(fresh, *unsteady) == before
    # which other batches have the same bytes is looked up again; of the folder the file itself is gone
    assert rows(store, "raw_audio", "sample").drop("also_in").equals(sample.drop("also_in"))
    assert rows(store, "raw_audio", "other").drop("also_in").equals(other.filter(status="done").drop("also_in"))
    shown = json.loads(run(fresh, "episodes", "sample", "--status", "skipped", "--json").stdout)
    assert [(r["source"], REASON in r["error"]) for r in shown] == [(FILE, True)]


def test_the_same_file_under_another_name_is_refused_in_a_new_batch(fresh: Place) -> None:
    sha256 = episode(fresh.store, "sample", FILE)["sha256"]
    take_down(fresh, FILE)
    folder = fresh.folder / "late"
    folder.mkdir()
    shutil.copy(SAMPLE / FILE, folder / "nobody-knows-me.m4a")
    late = run(fresh, "run", folder, "--batch", "late", "--profile", "demo", "--json")
    assert late.returncode == 0, late.stderr
    row = rows(fresh.store, "raw_audio", "late").row(0, named=True)
    assert (row["status"], row["sha256"]) == ("skipped", None)
    assert REASON in row["error"]
    assert not any(sha256 in key for key in tree(fresh, "takedowns/"))


def test_neither_a_repeated_order_nor_a_dry_run_changes_anything(fresh: Place) -> None:
    before = tree(fresh)
    dry = take_down(fresh, FILE, "--dry-run")
    assert tree(fresh) == before
    real = take_down(fresh, FILE)
    assert dry["removed"] == real["removed"] and real["removed"]
    assert dry["shards"] == real["shards"]
    after = tree(fresh)
    for name in (
        FILE,
        real["target"],
        real["takedown"],
        real["sha256"][0],
        "other/" + "another-name-" + real["sha256"][0][:12],
    ):
        again = take_down(fresh, name)
        assert (again["removed"], again["again"], again["takedown"]) == ({}, True, real["takedown"])
    assert tree(fresh) == after
    listed = json.loads(run(fresh, "takedowns", "--json").stdout)
    assert [r["target"] for r in listed] == [real["target"]]


def test_dagster_shows_no_texts_and_loses_nothing(fresh: Place) -> None:
    """A run of several batches would take the materializations of the others with it."""
    folder = fresh.folder / "dagster_home" / "history" / "runs"

    def events(which: str) -> int:
        found = 0
        for path in folder.glob("*.db"):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                found += database.execute(f"select count(*) from event_logs where {which}").fetchone()[0]
        return found

    materializations = events("dagster_event_type = 'ASSET_MATERIALIZATION'")
    assert materializations
    assert events("event like '%music and city%'") == 0
    take_down(fresh, FILE, HOME=str(fresh.folder), DAGSTER_HOME="~/dagster_home")
    assert events("dagster_event_type = 'ASSET_MATERIALIZATION'") == materializations


def test_a_podcast_goes_whole_and_what_is_released_leaves_it_out(fresh: Place) -> None:
    store = fresh.store
    podcast = episode(store, "sample", FILE)
    own = rows(store, "raw_audio", "sample").filter(podcast_id=podcast["podcast_id"])
    assert own.height >= 1
    cleared = judge_store(store, "public-domain", ["other", "sample"]).clearance
    assert cleared["cleared"].any()
    told = take_down(fresh, podcast["podcast_id"])
    assert told["scope"] == "podcast"
    assert set(own["episode_id"]) <= set(told["episode_ids"])
    left = judge_store(store, "public-domain", ["other", "sample"]).clearance
    assert not set(left["episode_id"]) & set(told["episode_ids"])
    for asset in ASSETS:
        if asset != "raw_audio":
            assert not set(rows(store, asset, "sample")["episode_id"]) & set(told["episode_ids"])


def test_a_name_that_means_nothing_is_said_and_a_broken_record_stops_everything(fresh: Place) -> None:
    before = tree(fresh)
    result = run(fresh, "takedown", "no-such-episode", "--reason", REASON)
    assert result.returncode == 2
    assert "neither an episode nor a podcast" in result.stderr
    assert tree(fresh) == before
    fresh.store.write("takedowns/0123456789abcdef.json", b'{"takedown": "012')
    for arguments in (("takedown", FILE, "--reason", REASON), ("takedowns",)):
        result = run(fresh, *arguments)
        assert result.returncode == 2
        assert "repair it, because it must not be ignored" in result.stderr
    assert tree(fresh, "takedowns/") == before


def killed_at(place: Place, effect: int) -> Child:
    """`podcast-assets takedown` that is killed right before its n-th rename or removal."""
    return forked.start(take_down_and_die, effect, environment=place.environment(**SEALING), cwd=place.folder)


def take_down_and_die(effect: int) -> None:
    left = effect

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return inner

    Folder.remove = deadly(Folder.remove)  # type: ignore[method-assign]
    Path.replace = deadly(Path.replace)  # type: ignore[method-assign]
    try:
        forked.run_command("takedown", FILE, "--reason", REASON)
    finally:
        sys.stderr.write(f"effects left: {left}\n")


@pytest.mark.faults
def test_killed_anywhere_it_is_finished_by_the_next_order(two_batches: Place, tmp_path: Path) -> None:
    def copy(name: str) -> Place:
        shutil.copytree(two_batches.folder / "store", tmp_path / name / "store")
        return Place(tmp_path / name)

    undisturbed = copy("undisturbed")
    whole = killed_at(undisturbed, 10_000)
    assert whole.wait() == 0, whole.err
    effects = 10_000 - int(whole.err.rsplit("effects left: ", 1)[1])
    assert effects > 20
    expected = tree(undisturbed, "takedowns/")
    for effect in range(0, effects, max(1, effects // 10)):
        place = copy(f"killed-at-{effect}")
        assert killed_at(place, effect).wait() == -signal.SIGKILL
        unfinished = read_records(place.store)
        assert unfinished["finished_at"].null_count() == unfinished.height, f"effect {effect} of {effects}"
        take_down(place, FILE)
        assert tree(place, "takedowns/") == expected, f"killed at effect {effect} of {effects}"
        assert read_records(place.store)["finished_at"].null_count() == 0
