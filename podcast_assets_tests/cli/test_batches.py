"""What there is and what became of it, by command."""

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.cli.batches import _batches_to_retry
from podcast_assets.common.errors import BadInput
from podcast_assets.rights.discard import discard
from podcast_assets.rights.store_clearance import read_episodes
from podcast_assets.stages import overview
from podcast_assets.stages.report import batch_report, describe_state
from podcast_assets.stages.selection import Selection, parse_time
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, RAW_AUDIO, TABLES, empty_table, make_table
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.short_clip import write_clip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A batch that is done with a failure, one whose archive is broken, and one that has only arrived."""
    store = Store.at(tmp_path)
    commit_batch(store, "done", failure("transcribe"), failure("score", permanent=True, episode="b"))
    rows = [
        dict.fromkeys(RAW_AUDIO) | {"episode_id": e, "source": f"{e}.mp3", "status": status, "error": error}
        for e, status, error in (("a", "done", None), ("c", "failed", "cut off in its archive"))
    ]
    commit(store, "raw_audio", "broken", make_table(rows, RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))
    store.write("incoming/new.tar", b"12345")
    return store


def test_batches_with_how_far_they_are(store: Store) -> None:
    rows = {row.batch: row for row in overview.batch_rows(store, busy={"new"})}
    assert list(rows) == ["new", "broken", "done"], "those that arrived last come first"
    assert {b: r.state for b, r in rows.items()} == {"new": "busy", "broken": "begun", "done": "failed"}
    assert (rows["new"].files, rows["new"].bytes) == (1, 5)
    assert (rows["broken"].stages, rows["broken"].done, rows["broken"].failed) == (["ingest"], 1, 1)
    assert (rows["done"].failures, rows["done"].arrived) == (2, None)
    assert [row.batch for row in overview.batch_rows(store, limit=1)] == ["new"]
    assert [row.batch for row in overview.batch_rows(store, ["done"])] == ["done"]


def test_failures_are_those_of_stages_and_of_archives(store: Store) -> None:
    rows = overview.failure_rows(store, overview.batch_names(store))
    assert [(r["batch"], r["episode_id"], r["stage"], r["permanent"]) for r in rows] == [
        ("broken", "c", "unpack", True),
        ("done", "a", "transcribe", False),
        ("done", "b", "score", True),
    ]
    assert [r["batch"] for r in overview.failure_rows(store, ["broken", "done"], stage="score")] == ["done"]
    assert [r["status"] for r in overview.episode_rows(store, ["broken"])] == ["pending", "failed"]
    assert [r["episode_id"] for r in overview.episode_rows(store, ["broken"], Selection("failed"))] == ["c"]


def commit_episodes(store: Store, batch: str, *episodes: dict[str, Any], spoken: str = "", failed: str = "") -> None:
    """Commit a finished batch; `spoken` and `failed` name the episodes with a segment in English, and those not transcribed."""
    usual = {"status": "done", "duration": 3600.0}
    rows = [dict.fromkeys(RAW_AUDIO) | usual | {"source": f"{e['episode_id']}.mp3"} | e for e in episodes]
    ids = [str(r["episode_id"]) for r in rows if r["status"] == "done"]
    failures = make_table([failure("transcribe", episode=e) for e in failed], FAILURES)
    for asset, columns in ASSETS.items():
        held = [e for e in ids if e not in failed and (e in spoken or asset != "hf_shards")]
        segments = [
            dict.fromkeys(columns) | {"episode_id": e, "language": "en"} for e in spoken if asset != "raw_audio"
        ]
        table = make_table(
            rows if asset == "raw_audio" else [{k: s.get(k) for k in columns} for s in segments], columns
        )
        done = [dict.fromkeys(PROVENANCE) | {"episode_id": e, "fingerprint": "f"} for e in held]
        own = failures if asset == "transcripts" else empty_table(FAILURES)
        commit(store, asset, batch, table, make_table(done, PROVENANCE), own)


def test_a_batch_is_done_only_if_an_episode_is(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    skipped = {"episode_id": "s", "status": "skipped", "error": "no audio"}
    commit_episodes(store, "spoken", {"episode_id": "a"}, {"episode_id": "b"}, spoken="a", failed="b")
    commit_episodes(store, "silent", {"episode_id": "a"})
    commit_episodes(store, "failed", {"episode_id": "a"}, skipped, failed="a")
    commit_episodes(store, "empty", skipped)
    commit_episodes(store, "discarded", {"episode_id": "a"}, failed="a")
    discard(store, ["discarded/a"], "bad", None, datetime.datetime.now(datetime.UTC))
    states = {row.batch: row.state for row in overview.batch_rows(store)}
    assert states == {"spoken": "done", "silent": "done", "failed": "failed", "empty": "empty", "discarded": "empty"}
    assert {batch: batch_report(store, batch, {}).state for batch in states} == states
    assert describe_state(batch_report(store, "failed", {})) == "failed: 1 failed, 1 skipped"
    assert describe_state(batch_report(store, "spoken", {})) == "done: 1 done, 1 failed"
    statuses = {(r["batch"], r["episode_id"]): r["status"] for r in overview.episode_rows(store, list(states))}
    assert statuses["silent", "a"] == statuses["spoken", "a"] == "done"


def test_batches_and_episodes_are_selected_and_sorted(store: Store) -> None:
    show = {"podcast": "A Show", "podcast_id": "guid-1"}
    commit_episodes(
        store, "x", {"episode_id": "a", "language": "de", "duration": 60.0} | show, {"episode_id": "b"}, spoken="a"
    )
    commit_episodes(store, "y", {"episode_id": "c", "language": "fr"})
    write_time(store, "x", "2026-03-01T12:00")
    write_time(store, "y", "2026-04-01T12:00")

    def batches(sort: str = "arrived", *, reverse: bool = False, limit: int | None = None, **of: Any) -> list[str]:
        rows = overview.batch_rows(store, selection=Selection(**of), sort=sort, reverse=reverse, limit=limit)
        return [row.batch for row in rows]

    def episodes(sort: str = "batch", *, reverse: bool = False, **of: Any) -> list[str]:
        rows = overview.episode_rows(store, ["x", "y"], Selection(**of), sort=sort, reverse=reverse)
        return [row["episode_id"] for row in rows]

    assert batches(status="pending") == ["new", "broken"]
    assert batches(status="failed") == ["done"]
    assert batches(language="en") == ["x"]
    assert batches(language="unknown") == ["broken", "x"]
    assert batches(language="unknown", limit=1) == ["broken"]
    assert batches(podcast="a show") == batches(podcast="guid-1") == ["x"]
    assert batches("hours", limit=2) == ["x", "y"]
    assert batches("batch") == ["broken", "done", "new", "x", "y"]
    since, until = parse_time("--since", "2026-03-01"), parse_time("--until", "2026-03-01", end=True)
    assert batches(since=since, until=until) == ["x"]
    assert episodes(since=since, until=until) == ["a", "b"]
    assert episodes(until=parse_time("--until", "2026-03-01T11:59")) == []
    assert episodes(language="en") == ["a"], "the identified language, not the declared one"
    assert episodes(language="fr") == ["c"]
    assert episodes(language="unknown") == ["b"]
    assert episodes(podcast="A SHOW") == ["a"]
    assert episodes("duration", reverse=True) == ["a", "b", "c"]
    assert episodes("language") == ["a", "c", "b"]
    assert episodes("arrived") == ["c", "a", "b"]
    (row,) = overview.episode_rows(store, ["x"], Selection(podcast="guid-1"))
    assert (row["language"], row["declared_language"], row["arrived"][:10]) == ("en", "de", "2026-03-01")


def write_time(store: Store, batch: str, time: str) -> None:
    """Set when the table of a batch was written."""
    moment = datetime.datetime.fromisoformat(time).replace(tzinfo=datetime.UTC).timestamp()
    os.utime(str(store.path(table_key("raw_audio", batch))), (moment, moment))


def test_values_that_are_no_language_or_date_are_named(place: Place) -> None:
    for option, value in (("--language", "klingonish"), ("--since", "yesterday"), ("--until", "2026-13-01")):
        result = place.command("episodes", option, value)
        assert result.returncode == 2
        assert f"{option} {value}: not a" in result.stderr


def test_failures_of_an_optional_stage_are_listed_and_fail_no_episode(store: Store) -> None:
    own = make_table([failure("second", episode="d")], FAILURES)
    commit(store, "second_opinions", "done", empty_table(TABLES["second_opinions"]), empty_table(PROVENANCE), own)
    assert [r["episode_id"] for r in overview.failure_rows(store, ["done"], stage="second")] == ["d"]
    assert [r.failures for r in overview.batch_rows(store, ["done"])] == [2]


def test_what_is_tried_again(store: Store) -> None:
    known = {"done", "broken", "new"}
    failed = overview.failure_rows(store, known)
    episodes = read_episodes(store, store.table_names("tables/raw_audio"))

    def chosen(*names: str, permanent: bool = False) -> list[str]:
        return _batches_to_retry(names, known, failed, episodes, permanent=permanent)

    assert chosen("new", "done") == ["done"]
    assert chosen("a", "a.mp3", "done") == ["done"]
    assert chosen("b") == chosen("broken") == []
    assert chosen("done/a") == chosen("done/a.mp3") == ["done"]
    assert chosen("b.mp3", "broken", permanent=True) == ["done", "broken"]
    with pytest.raises(BadInput, match="'zzz' is neither a batch nor a failed episode"):
        chosen("done", "zzz")


def test_the_commands_for_people_and_programs(sample_run: SampleRun) -> None:
    place, batch = sample_run.place, sample_run.batch
    told = place.command("batches")
    assert told.returncode == 0, told.stderr
    assert batch in told.stdout
    (row,) = json.loads(place.command("batches", "--json").stdout)
    assert (row["batch"], row["state"], row["stages"][-1]) == (batch, "done", "package")
    episodes = json.loads(place.command("episodes", batch, "--json").stdout)
    assert {e["source"] for e in episodes if e["status"] == "done"} == {
        e["source"] for e in sample_run.report["episodes"] if e["status"] == "done"
    }
    assert "reason" in place.command("failures").stdout
    wrong = place.command("episodes", "nothing")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no batch nothing" in wrong.stderr


@pytest.mark.usefixtures("dagster_home")
def test_submit_and_retry_with_the_real_commands(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "show"
    folder.mkdir()
    (folder / "bad.mp3").write_bytes(b"no audio " * 100)
    write_clip(folder / "talk.mp3", 5)
    told = place.command("submit", folder, "--batch", "show", "--language", "en", "--json")
    assert json.loads(told.stdout) == {"batches": ["show"], "feeds_added": 0, "lists_of_feeds": [], "warnings": []}
    assert "arrived" in place.command("batches").stdout
    done = place.command("backfill", "show", "--here", PODCAST_PROFILE="embedded")
    assert done.returncode == 0, done.stderr
    (failed,) = json.loads(place.command("failures", "--json").stdout)
    assert (failed["source"], failed["stage"], failed["permanent"]) == ("bad.mp3", "ingest", True)
    episodes = json.loads(place.command("episodes", "show", "--status", "done", "--json").stdout)
    assert [(e["source"], e["language"]) for e in episodes] == [("talk.mp3", "en")]
    assert "nothing to retry" in place.command("retry", "show").stderr
    write_clip(folder / "bad.mp3", 6)
    again = place.command("retry", "bad.mp3", "--here", "--permanent", PODCAST_PROFILE="embedded")
    assert again.returncode == 0, again.stderr
