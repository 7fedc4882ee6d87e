"""`podcast-assets top` and the lines of progress in the UI: what runs, how far it is, and what waits."""

import json
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.cli.doctor.gpu import GpuLoad, parse_load
from podcast_assets.defs.activity import read_activity
from podcast_assets.defs.dagster_internals import execute_in_location
from podcast_assets.defs.runs import progress as run_progress
from podcast_assets.defs.runs.process import PID, process_tags
from podcast_assets.defs.runs.progress import PROGRESS, read_progress, report_progress
from podcast_assets.stages.compute.base import Place as Where
from podcast_assets.stages.progress import Progress
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.short_clip import drop_clip

EPISODES = 500


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


def at(number: int, *, seconds: float = 1.0) -> Progress:
    return Progress(
        stage="transcribe",
        batch="talk",
        last=f"{number}.mp3",
        done=number - 1,
        failed=1,
        total=EPISODES,
        audio_seconds=3600.0 * number,
        audio_left=3600.0 * (EPISODES - number),
        elapsed=seconds * number,
        place=Where("node-7", 42, "1"),
    )


@dg.asset
def busy(context: dg.AssetExecutionContext) -> None:
    report = report_progress(context)
    report(replace(at(0), done=0, failed=0, last=""))
    begun = context.instance.get_run_by_id(context.run.run_id)
    assert begun is not None
    assert (read_progress(begun) or {})["done"] == 0, "an episode may take hours"
    for number in range(1, EPISODES + 1):
        report(at(number))


def test_the_lines_of_a_run_are_few_and_the_first_and_the_last_are_among_them(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UI would read a row of the database for each episode of a batch otherwise."""
    clock = iter(range(EPISODES + 1))  # an episode takes a second
    monkeypatch.setattr(run_progress, "time", types.SimpleNamespace(monotonic=lambda: next(clock), time=time.time))
    job = dg.Definitions(assets=[busy], jobs=[dg.define_asset_job("any")]).resolve_job_def("any")
    result = execute_in_location(job, instance, "podcast_assets")
    lines = [e.user_message for e in instance.all_logs(result.run_id) if not e.is_dagster_event]
    assert 50 <= len(lines) <= 250, "every two seconds, later every hundredth of the time"
    assert lines[0].startswith("talk: transcribe 1 of 500")
    assert lines[-1].startswith("talk: transcribe 500 of 500, 1 failed, 500.00 h at 3600.0 x real time")
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    found = read_progress(run) or {}
    assert (found["done"], found["total"], found["machine"], found["gpu"]) == (499, 500, "node-7", "1")
    assert "mp3" not in run.tags[PROGRESS], "names of files are nobody's business here"


def test_it_shows_what_runs_what_is_dead_and_what_waits(place: Place, instance: dg.DagsterInstance) -> None:
    @dg.job
    def some_job() -> None: ...

    drop_clip(place.store, "later")
    started, queued = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED
    active = "00000000-0000-0000-0000-000000000001"
    shown = json.dumps(run_progress._to_json(at(120)) | {"time": 0.0, "run": active})
    dead = process_tags() | {PID: "999999999"}
    for run_id, status, tags in (
        (active, started, process_tags() | {PROGRESS: shown, "dagster/partition": "talk", "podcast/source": "sensor"}),
        (None, started, dead | {PROGRESS: shown, "dagster/partition": "lost"}),  # of the run that it repeats
        (None, queued, {"dagster/partition": "next", "podcast/source": "backfill"}),
        (None, dg.DagsterRunStatus.SUCCESS, {"dagster/partition": "over"}),
    ):
        instance.create_run_for_job(some_job, run_id=run_id, status=status, tags=tags)
    printed = place.command("top", "--once")
    assert printed.returncode == 0, printed.stderr
    summary, *rows = printed.stdout.splitlines()
    assert summary.startswith("2 runs active, 1 queued; 1 batch with 1 file")
    text = "\n".join(rows)
    assert "120 of 500, 1 failed" in text
    assert "3,600.0" in text
    assert "node-7, GPU 1" in text
    assert "dead" in text
    assert text.count("120 of 500") == 1
    assert "backfill" in text
    assert "over" not in text
    seen = json.loads(place.command("top", "--json").stdout)
    assert {run["status"] for run in seen["running"]} == {"started", "dead"}
    assert [run["batches"] for run in seen["queued"]] == [["next"]]
    assert seen["waiting"]["batches"] == 1
    assert [run.batches for run in read_activity(instance).queued] == [["next"]]


def test_looking_creates_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    printed = place.command("top")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("0 runs active, 0 queued; 0 batches")
    assert not list(tmp_path.rglob("*dagster*"))


def test_loads_of_gpus_are_read_from_the_driver() -> None:
    gb = 2**30
    assert parse_load("3, NVIDIA H200, 87, 40960, 143771") == GpuLoad(3, "NVIDIA H200", 87, 40 * gb, 143771 * 2**20)
    assert parse_load("0, NVIDIA H200, [N/A], [N/A], 1024") == GpuLoad(0, "NVIDIA H200", 0, 0, gb)
    assert parse_load("No devices were found") is None
