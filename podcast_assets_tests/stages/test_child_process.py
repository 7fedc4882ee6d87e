"""The time limit for episodes on one machine: a child process that hangs or dies is replaced."""

import contextlib
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.own_address import own_address
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute import child_process
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store
from podcast_assets_tests.cluster.scripted import Scripted, episodes


def run(folder: Path, stage: Scripted, count: int, **settings: Any) -> StageRun:
    how = Settings(**({"timeout": 60.0} | settings))
    with computing(stage, how) as compute:  # type: ignore[arg-type]
        return run_stage(stage, "b", episodes(count), Store.at(folder / "store"), compute=compute)  # type: ignore[arg-type]


def processes(stage: Scripted) -> set[str]:
    return {name.split("-")[1] for name in stage.noted("begun")}


def test_episodes_that_hang_or_crash_fail_and_the_others_are_done(tmp_path: Path) -> None:
    """They have a second attempt alone, because another one that was in hand may have been what hung."""
    stage = Scripted(tmp_path, {"e002": "hang", "e006": "die"})
    result = run(tmp_path, stage, 8, timeout=1.0)
    assert list(result.done) == ["e000", "e001", "e003", "e004", "e005", "e007"]
    hung, crashed = result.failures.rows(named=True)
    assert [(f["episode_id"], f["error_type"], f["permanent"]) for f in (hung, crashed)] == [
        ("e002", "WorkerLost", False),
        ("e006", "WorkerLost", False),
    ]
    assert "within the time limit (PODCAST_TIMEOUT)" in hung["message"]
    assert crashed["message"] == "the process that computes it ended with exit code 1"
    for pid in stage.noted("load"):
        assert int(pid) != os.getpid()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_one_process_does_all_that_does_not_hang(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"e003": "bad"})
    result = run(tmp_path, stage, 8)
    assert len(result.done) == 7
    assert len(stage.noted("load")) == 1
    assert processes(stage) == set(stage.noted("load"))
    failure = result.failures.row(0, named=True)
    assert (failure["message"], failure["permanent"]) == ("is not audio", True)
    assert "scripted.py" in failure["traceback"], "the traceback of the process where it happened"
    assert {w.rpartition(":")[2] for w in result.provenance["worker"]} == set(stage.noted("load"))
    assert set(result.provenance["address"]) == {own_address()}


def test_a_slow_start_is_not_an_episode_that_hangs(tmp_path: Path) -> None:
    """A model may wait for a device that another run holds."""
    result = run(tmp_path, Scripted(tmp_path, loading="sleep 2"), 2, timeout=1.0)
    assert len(result.done) == 2


def test_an_engine_that_is_not_here_is_reported_as_in_this_process(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="the model 'tool' is not here"):
        run(tmp_path, Scripted(tmp_path, loading="unavailable"), 2)


def test_a_process_that_ends_whenever_it_loads_is_not_started_for_ever(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, loading="die")
    with pytest.raises(BrokenDevice, match="3 processes in a row ended while the model was loaded"):
        run(tmp_path, stage, 2)
    assert len(stage.noted("load")) == child_process.START_FAILURES


def test_without_a_limit_there_is_no_other_process(tmp_path: Path) -> None:
    stage = Scripted(tmp_path)
    with computing(stage, Settings()) as compute:  # type: ignore[arg-type]
        assert isinstance(compute, Local)


def test_a_suspended_process_counts_as_one_that_hangs(tmp_path: Path) -> None:
    """It answers nothing at all, as where a library holds the interpreter's lock."""
    stage = Scripted(tmp_path, {"e000": "sleep 9 once"})

    def suspend() -> None:
        while not (found := stage.noted("begun")):
            over.wait(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(found[0].split("-")[1]), signal.SIGSTOP)

    over = threading.Event()
    thread = threading.Thread(target=suspend)
    thread.start()
    result = run(tmp_path, stage, 1, timeout=1.0)
    thread.join()
    assert len(result.done) == 1, "at its second attempt, in another process"
    assert len(stage.noted("load")) == 2
