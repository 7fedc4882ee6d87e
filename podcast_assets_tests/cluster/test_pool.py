"""A pool of actors on a real Ray of this machine: nothing lost, whatever becomes of a worker."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

import ray

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute import ray_pool
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store, failures_key
from podcast_assets_tests.cluster.scripted import Scripted, episodes

ALONE = {"min_workers": 1, "max_workers": 1}
"""Settings of a pool of one worker: each takes seconds to start."""


@pytest.fixture(scope="module", autouse=True)
def ended_cluster() -> Iterator[None]:
    yield
    ray.shutdown()


def run(folder: Path, stage: Scripted, count: int, **settings: Any) -> StageRun:
    how = Settings(**({"compute": "ray", "min_workers": 2, "max_workers": 2} | settings))
    store = Store.at(folder / "store")
    with computing(stage, how) as compute:  # type: ignore[arg-type]
        return run_stage(stage, "b", episodes(count), store, compute=compute)  # type: ignore[arg-type]


def test_every_episode_is_done_once_by_workers_that_load_once(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"*": "meet 2", "e003": "bad"})
    result = run(tmp_path, stage, 30)
    assert list(result.done) == [e.episode_id for e in episodes(30) if e.episode_id != "e003"]
    assert result.table()["episode_id"].to_list() == list(result.done), "in the order of the batch"
    assert len(stage.noted("begun")) == 30
    assert len(stage.noted("load")) == 2
    failure = result.failures.row(0, named=True)
    assert (failure["message"], failure["permanent"]) == ("is not audio", True)
    assert "scripted.py" in failure["traceback"], "the traceback of the process where it happened"
    workers = set(result.provenance["worker"])
    assert len(workers) == 2
    assert {w.rpartition(":")[2] for w in workers} == set(stage.noted("load"))


def test_what_comes_out_is_what_this_process_makes(tmp_path: Path) -> None:
    there = run(tmp_path / "there", Scripted(tmp_path / "notes"), 5, **ALONE)
    here = run(tmp_path / "here", Scripted(tmp_path / "notes"), 5, compute="local")
    assert there.table().equals(here.table())


def test_what_a_dead_worker_had_in_hand_is_done_by_another(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"*": "sleep 0.05", "e005": "die once"})
    result = run(tmp_path, stage, 20)
    assert len(result.done) == 20
    assert result.failures.is_empty()


def test_an_episode_that_ends_every_worker_takes_no_other_down(tmp_path: Path) -> None:
    result = run(tmp_path, Scripted(tmp_path, {"e002": "die"}), 6)
    assert list(result.done) == ["e000", "e001", "e003", "e004", "e005"]
    failure = result.failures.row(0, named=True)
    assert (failure["episode_id"], failure["error_type"], failure["permanent"]) == ("e002", "WorkerLost", False)
    assert "is gone" in failure["message"]


def test_an_episode_that_never_finishes_fails_and_no_other_does(tmp_path: Path) -> None:
    result = run(tmp_path, Scripted(tmp_path, {"e001": "hang"}), 6, timeout=15)
    assert list(result.done) == ["e000", "e002", "e003", "e004", "e005"]
    assert "finished no episode in 15 s (PODCAST_TIMEOUT)" in result.failures["message"][0]


def test_a_worker_that_falls_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process answers as little as one behind a cut cable."""
    monkeypatch.setattr(ray_pool, "SILENCE_SECONDS", 4.0)
    stage = Scripted(tmp_path, {"*": "sleep 0.2"})
    stopped: list[int] = []
    over = threading.Event()

    def stop() -> None:
        while len(stage.noted("done")) < 4:
            if over.wait(0.05):
                return
        stopped.append(int(stage.noted("load")[0]))
        os.kill(stopped[0], signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        result = run(tmp_path, stage, 30)
    finally:
        over.set()
        thread.join()
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert len(result.done) == 30
    assert len(stage.noted("load")) >= 2


def test_a_worker_with_a_broken_device_is_replaced_and_costs_no_attempt(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"*": "device here"})
    result = run(tmp_path, stage, 30, **ALONE)
    assert len(result.done) == 30
    assert result.failures.is_empty()
    loads = stage.noted("load")
    assert len(loads) == 2
    assert stage.noted("smoke") == [pid for pid in loads if pid not in stage.noted("broken")], "the new one was tried"


def test_where_every_device_is_broken_the_stage_stops_and_spends_no_attempt(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"*": "device"})
    with pytest.raises(BrokenDevice, match="4 workers in a row had to be replaced"):
        run(tmp_path, stage, 30, **ALONE)
    assert not Store.at(tmp_path / "store").exists(failures_key("diarize", "b"))


def test_a_missing_model_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="the model 'tool' is not here"):
        run(tmp_path, Scripted(tmp_path, loading="unavailable"), 3, **ALONE)


def test_a_model_that_is_missing_when_it_is_needed_ends_the_stage_and_spends_no_attempt(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, beginning="unavailable")
    with pytest.raises(EngineUnavailable, match="b: scripted: the model 'tool' is not here"):
        run(tmp_path, stage, 3)
    assert stage.noted("begun") == []
    assert not Store.at(tmp_path / "store").exists(failures_key("diarize", "b"))


def test_workers_that_take_no_episode_end_the_stage(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, beginning="fail")
    with pytest.raises(BrokenDevice, match="raised RuntimeError: the model file is cut off before it took an episode"):
        run(tmp_path, stage, 3, min_workers=1, max_workers=1)
    assert not Store.at(tmp_path / "store").exists(failures_key("diarize", "b"))


def test_a_worker_does_as_much_cpu_work_at_once_as_it_has_cores(tmp_path: Path) -> None:
    stage = Scripted(tmp_path, {"e000": "meet 2", "e001": "meet 2"}, cpu_bound=True)
    result = run(tmp_path, stage, 2, max_workers=1, min_workers=1, worker_cpus=2, prefetch=1, timeout=120)
    assert list(result.done) == ["e000", "e001"]
    assert len(stage.noted("load")) == 1


def test_workers_that_die_while_they_load_end_the_stage(tmp_path: Path) -> None:
    with pytest.raises(BrokenDevice, match="workers in a row had to be replaced without an episode done"):
        run(tmp_path, Scripted(tmp_path, loading="die"), 3)


def test_a_run_that_is_taken_up_again_does_only_what_is_left(tmp_path: Path) -> None:
    broken = Scripted(tmp_path, {"e004": "unavailable"})
    assert len(run(tmp_path, broken, 6).done) == 5
    again = Scripted(tmp_path / "again")
    result = run(tmp_path, again, 6)
    assert (len(result.done), result.ran, len(again.noted("begun"))) == (6, 1, 1)
