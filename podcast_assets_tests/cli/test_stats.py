"""`podcast-assets stats` on the finished sample batch."""

import json

import pytest

from podcast_assets.store.stage_names import STAGES
from podcast_assets_tests.conftest import Place, SampleRun


@pytest.fixture
def report(sample_run: SampleRun) -> dict[str, object]:
    return sample_run.report


def test_the_command_for_people_and_programs(sample_copy: Place, report: dict[str, list[dict[str, str]]]) -> None:
    told = sample_copy.command("stats", "--by", "gpu", "--json")
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    done = [e for e in report["episodes"] if e["status"] == "done"]
    assert (found["episodes"]["done"], found["episodes"]["total"]) == (len(done), len(report["episodes"]))
    assert found["hours"] == pytest.approx(report["hours"], abs=0.001)
    assert [s["stage"] for s in found["stages"]] == list(STAGES.values())
    assert all(s["episodes"] == len(done) and s["x_real_time"] > 0 for s in found["stages"])
    assert {g["stage"] for g in found["groups"]} == set(STAGES.values())
    assert all(g["gpu"].endswith(" CPU") for g in found["groups"])
    assert (found["queue"]["batches_waiting"], found["queue"]["runs_queued"]) == (0, 0)
    shown = sample_copy.command("stats", "--by", "language", "--since", "1d")
    assert shown.returncode == 0, shown.stderr
    for word in ("batches: 1, of which 1 done", "success rate", "x real time", "transcribe", "waiting:", "en"):
        assert word in shown.stdout
    wrong = sample_copy.command("stats", "--since", "yesterday")
    assert wrong.returncode == 2
    assert "neither a period such as 24h" in wrong.stderr


def test_an_empty_store(place: Place) -> None:
    told = place.command("stats", "--by", "day")
    assert told.returncode == 0, told.stderr
    assert "batches: 0" in told.stdout
