"""A run's process that Kubernetes, systemd or the kernel ends: what Dagster makes of it with our dagster.yaml.

The processes are those of a run pod: the commands are the ones that the K8sRunLauncher puts into it.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.events import DagsterEventType, JobFailureData, RunFailureReason
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs

from podcast_assets.defs.instance import LOCAL, project_file
from podcast_assets_tests.deploy import preempted
from podcast_assets_tests.deploy.conftest import DEPLOY, ApiServer
from podcast_assets_tests.waiting import wait_for

PATIENCE = 600


def wait_for_the_step(folder: Path, process: subprocess.Popen[bytes]) -> None:
    def begun() -> bool:
        assert process.poll() is None, f"the process ended with {process.returncode} before the step began"
        return (folder / "begun").exists()

    wait_for("the step", begun, patience=PATIENCE, every=0.1)


class Run:
    """A run of `preempted.py` on an instance of ours."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.folder, self.instance = folder, instance
        self.processes: list[subprocess.Popen[bytes]] = []
        # one slot: what a dead process would hold for ever
        instance.event_log_storage.set_concurrency_slots("gpu", 1)
        repository = ReconstructableRepository.for_file(preempted.__file__, "defs")
        job = repository.get_reconstructable_job("work")
        self.origin = job.get_python_origin()
        self.run = instance.create_run_for_job(job.get_definition(), job_code_origin=self.origin)

    def start(self, kind: type[ExecuteRunArgs] | type[ResumeRunArgs]) -> subprocess.Popen[bytes]:
        (self.folder / "begun").unlink(missing_ok=True)
        args = kind(self.origin, self.run.run_id, self.instance.get_ref(), set_exit_code_on_failure=True)
        command = args.get_command_args()
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", *command[command.index("api") :]],
            env={**os.environ, "PREEMPTED_FOLDER": str(self.folder)},
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill the processes that still run: they compute until they are let go."""
        for process in self.processes:
            process.kill()
            process.wait()

    @property
    def status(self) -> dg.DagsterRunStatus:
        found = self.instance.get_run_by_id(self.run.run_id)
        assert found is not None
        return found.status


@contextlib.contextmanager
def run_of_instance(folder: Path) -> Iterator[Run]:
    """A run on the instance whose configuration is in a folder."""
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        run = Run(folder, instance)
        try:
            yield run
        finally:
            run.end()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    config = yaml.safe_load((DEPLOY / "kubernetes/base/dagster.yaml").read_text())
    # no database, no bucket; and the launcher, which every process loads but none of these uses, finds nobody
    del config["storage"], config["compute_logs"], config["local_artifact_storage"]
    nobody = ApiServer("http://127.0.0.1:9").kubeconfig(tmp_path)
    config["run_launcher"]["config"] |= {"load_incluster_config": False, "kubeconfig_file": str(nobody)}
    monkeypatch.setenv("RUN_IMAGE", "podcast-assets")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with run_of_instance(tmp_path) as run:
        yield run


@pytest.fixture
def run_on_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    (tmp_path / "dagster.yaml").write_text(project_file(LOCAL).read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with run_of_instance(tmp_path) as run:
        yield run


def test_a_pod_that_is_told_to_end_lets_go_of_its_gpu_and_its_run_is_resumed(run: Run) -> None:
    process = run.start(ExecuteRunArgs)
    wait_for_the_step(run.folder, process)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert run.status == dg.DagsterRunStatus.STARTED, "it goes on in another pod"
    assert not run.instance.event_log_storage.get_concurrency_info("gpu").claimed_slots, "its GPU is free at once"
    (run.folder / "let-go").touch()
    assert run.start(ResumeRunArgs).wait(PATIENCE) == 0
    assert run.status == dg.DagsterRunStatus.SUCCESS


def test_on_one_machine_it_is_a_failed_run_and_is_begun_again(run_on_one_machine: Run) -> None:
    run = run_on_one_machine
    process = run.start(ExecuteRunArgs)
    wait_for_the_step(run.folder, process)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)
    assert run.status == dg.DagsterRunStatus.FAILURE
    [record] = run.instance.get_records_for_run(run.run.run_id, of_type=DagsterEventType.PIPELINE_FAILURE).records
    assert record.event_log_entry.dagster_event is not None
    failure = record.event_log_entry.dagster_event.event_specific_data
    assert isinstance(failure, JobFailureData)
    assert failure.failure_reason == RunFailureReason.UNEXPECTED_TERMINATION
    ended = run.instance.get_run_by_id(run.run.run_id)
    assert ended is not None
    assert auto_reexecution_should_retry_run(run.instance, ended, failure.failure_reason)
    assert not run.instance.event_log_storage.get_concurrency_info("gpu").claimed_slots, "its GPU is free at once"


def test_a_run_that_was_killed_is_resumed(run: Run) -> None:
    process = run.start(ExecuteRunArgs)
    wait_for_the_step(run.folder, process)
    process.kill()
    process.wait(PATIENCE)
    assert run.status == dg.DagsterRunStatus.STARTED, "nobody could say that it ended"
    assert run.instance.run_monitoring_max_resume_run_attempts > 0
    again = run.start(ResumeRunArgs)
    # in spite of the slot that the first process left taken
    wait_for_the_step(run.folder, again)
    (run.folder / "let-go").touch()
    assert again.wait(PATIENCE) == 0
    assert run.status == dg.DagsterRunStatus.SUCCESS
    assert run.instance.get_latest_materialization_event(dg.AssetKey("long_work")) is not None
    assert not run.instance.event_log_storage.get_concurrency_info("gpu").claimed_slots
