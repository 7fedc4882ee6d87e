"""What the daemon is told of the processes that do its runs: real processes, killed on purpose."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus

from podcast_assets.defs.runs import launcher as run_launcher
from podcast_assets.defs.runs.launcher import LocalRunLauncher
from podcast_assets.defs.runs.process import BORN, HOST, PID, RUN, process_of, process_tags, record_process

PATIENCE = 600


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


@pytest.fixture
def deaf() -> Iterator[subprocess.Popen[str]]:
    """A process that does not hear that it should end."""
    program = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


@dg.job
def any_job() -> None:
    """A job for runs that only need to exist."""


def a_run(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.DagsterRun:
    return instance.create_run_for_job(any_job, status=dg.DagsterRunStatus.STARTED, tags=tags)


def tags_of(process: subprocess.Popen[str]) -> dict[str, str]:
    born = psutil.Process(process.pid).create_time()
    return process_tags() | {PID: str(process.pid), BORN: f"{born:.1f}"}


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> WorkerStatus:
    launcher = instance.run_launcher
    assert isinstance(launcher, LocalRunLauncher)
    assert launcher.supports_check_run_worker_health
    return launcher.check_run_worker_health(run).status


@pytest.mark.faults
def test_a_killed_process_is_missed(instance: dg.DagsterInstance, deaf: subprocess.Popen[str]) -> None:
    run = a_run(instance, tags_of(deaf))
    assert status(instance, run) == WorkerStatus.RUNNING
    deaf.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, deaf.pid, os.WEXITED | os.WNOWAIT)
    assert status(instance, run) == WorkerStatus.NOT_FOUND, "nobody has waited for it: it is a zombie"
    deaf.wait()
    assert status(instance, run) == WorkerStatus.NOT_FOUND


def test_another_process_with_its_number_is_not_it(instance: dg.DagsterInstance) -> None:
    born = psutil.Process().create_time()
    earlier = process_tags() | {BORN: f"{born - 1000:.1f}"}
    assert status(instance, a_run(instance, earlier)) == WorkerStatus.NOT_FOUND
    assert status(instance, a_run(instance, process_tags())) == WorkerStatus.RUNNING


def test_what_cannot_be_told_from_here_counts_as_alive(instance: dg.DagsterInstance) -> None:
    assert status(instance, a_run(instance, {})) == WorkerStatus.RUNNING
    elsewhere = process_tags() | {HOST: "another-machine", PID: "999999999"}
    assert status(instance, a_run(instance, elsewhere)) == WorkerStatus.RUNNING


def test_a_run_that_nobody_signed_is_missed_after_a_while(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = instance.create_run_for_job(any_job)
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name)
    instance.report_dagster_event(event, run.run_id)
    assert status(instance, run) == WorkerStatus.RUNNING
    monkeypatch.setattr(run_launcher, "START_SECONDS", 0.0)
    assert status(instance, run) == WorkerStatus.NOT_FOUND


def test_a_retry_is_not_taken_for_the_dead_run_that_it_repeats(instance: dg.DagsterInstance) -> None:
    dead = a_run(instance, process_tags() | {PID: "999999999", RUN: "the run before"})
    assert status(instance, dead) == WorkerStatus.RUNNING
    record_process(instance, dead)
    signed = instance.get_run_by_id(dead.run_id)
    assert signed is not None
    assert (signed.tags[PID], signed.tags[RUN]) == (str(os.getpid()), dead.run_id)
    found = process_of(signed)
    assert found is not None
    assert found.pid == os.getpid()


@pytest.mark.faults
def test_a_process_that_does_not_end_is_killed(
    instance: dg.DagsterInstance, deaf: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "GRACE_SECONDS", 0.5)
    run = a_run(instance, tags_of(deaf))
    instance.run_launcher.terminate(run.run_id)
    assert deaf.wait(timeout=PATIENCE) == -signal.SIGKILL
