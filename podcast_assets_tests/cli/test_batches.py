"""What there is and what became of it, by command."""

import json
from pathlib import Path

import pytest

from podcast_assets.cli.batches import _batches_to_retry
from podcast_assets.common.errors import BadInput
from podcast_assets.stages import overview
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, TABLES, empty_table, make_table
from podcast_assets.store.store import Store
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
    assert {b: r.state for b, r in rows.items()} == {"new": "busy", "broken": "begun", "done": "done"}
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
    assert [r["status"] for r in overview.episode_rows(store, ["broken"])] == ["done", "failed"]
    assert [r["episode_id"] for r in overview.episode_rows(store, ["broken"], status="failed")] == ["c"]


def test_failures_of_an_optional_stage_are_listed_and_fail_no_episode(store: Store) -> None:
    own = make_table([failure("second", episode="d")], FAILURES)
    commit(store, "second_opinions", "done", empty_table(TABLES["second_opinions"]), empty_table(PROVENANCE), own)
    assert [r["episode_id"] for r in overview.failure_rows(store, ["done"], stage="second")] == ["d"]
    assert [r.failures for r in overview.batch_rows(store, ["done"])] == [2]


def test_what_is_tried_again(store: Store) -> None:
    known = {"done", "broken", "new"}
    failed = overview.failure_rows(store, known)

    def chosen(*names: str, permanent: bool = False) -> list[str]:
        return _batches_to_retry(names, known, failed, permanent=permanent)

    assert chosen("new", "done") == ["done"]
    assert chosen("a", "a.mp3", "done") == ["done"]
    assert chosen("b") == chosen("broken") == []
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
