"""kill -9 under Dagster's daemon: of the run that it launched, of the daemon, and of everything; and who takes it up again."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from podcast_assets.defs.instance import project_file
from podcast_assets.defs.runs.process import process_of
from podcast_assets.store.stage_names import STAGES
from podcast_assets_tests import stopping
from podcast_assets_tests.conftest import CHECKOUT, Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, output_hashes
from podcast_assets_tests.faults.processes import PATIENCE, in_the_middle, started, wait_for
from podcast_assets_tests.faults.short import lay_out
from podcast_assets_tests.waiting import free_port

pytestmark = pytest.mark.faults

WORKSPACE = str(CHECKOUT / "workspace.yaml")


class Machine:
    """`podcast-assets dev` and all that it starts: a process group of its own, which can lose its power."""

    def __init__(self, place: Place, sample: SampleRun) -> None:
        self.place, self.sample = place, sample
        stops = stopping.environment(place.folder)
        self.environment = dict(place.environment(PODCAST_PROFILE="demo", PODCAST_SETTLE_SECONDS="100000", **stops))
        self.process: subprocess.Popen[bytes] | None = None
        self.groups: list[int] = []
        home = place.folder / "dagster_home"
        home.mkdir()
        config = yaml.safe_load(project_file("dagster.yaml").read_text())
        # the same, more often: nobody wants to wait for a test
        config["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 1}
        config["run_retries"]["max_retries"] = 10
        (home / "dagster.yaml").write_text(yaml.safe_dump(config))

    def on(self) -> None:
        port = free_port()
        with (self.place.folder / f"dev-{len(self.groups)}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "podcast_assets.cli", "dev", "--port", str(port)],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.groups.append(self.process.pid)

    def off(self) -> None:
        """Kill all that was started, now and before."""
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(PATIENCE)

    def pid_of(self, program: str) -> int:
        """Process of the group whose command line holds some words."""
        assert self.process is not None
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_text().replace("\0", " ")
                if program in words and os.getpgid(int(folder.name)) == self.process.pid:
                    return int(folder.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise LookupError(program)

    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.place.folder / "dagster_home"))

    def run(self, *arguments: str) -> None:
        result = subprocess.run(
            [sys.executable, "-m", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    def launch(self, batch: str) -> None:
        lay_out(self.sample, self.place, batch)
        added = self.place.command("add", batch)
        assert added.returncode == 0, added.stderr
        tags = f'{{"dagster/partition": "{batch}"}}'
        self.run("dagster", "job", "launch", "-w", WORKSPACE, "-j", "podcast_dataset", "--tags", tags)

    def runs(self, batch: str) -> list[dg.DagsterRun]:
        """The latest first."""
        with self.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": batch})))

    @contextlib.contextmanager
    def waiting(self, batch: str, stop_in: str) -> Iterator[None]:
        """Hold a run of a batch that begins in the block, until its process is known; it stops in the middle of a stage then."""
        with self.place.store.batch_lock(batch):
            yield
            stopping.request_stop(self.place.folder, stop_in, batch)

    def process_of_run(self, batch: str, after: int) -> int:
        """The process of the run of a batch that comes after so many, as soon as there is one."""
        found: list[int] = []

        def begun() -> bool:
            runs = self.runs(batch)
            with contextlib.suppress(LookupError):  # not signed yet
                process = process_of(runs[0]) if len(runs) > after else None
                found.extend([process.pid] if process else [])
            return bool(found)

        wait_for(f"run {after + 1} of {batch}", begun)
        return found[0]

    def ended(self, batch: str) -> list[dg.DagsterRunStatus]:
        """How the runs of a batch ended, once the latest has succeeded."""
        success = dg.DagsterRunStatus.SUCCESS
        wait_for(f"the success of {batch}", lambda: any(r.status == success for r in self.runs(batch)))
        return [run.status for run in self.runs(batch)]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, short_run: SampleRun) -> Iterator[Machine]:
    if sys.platform != "linux":
        pytest.skip("looks for processes in /proc")
    found = Machine(Place(tmp_path_factory.mktemp("machine")), short_run)
    found.run("podcast_assets.cli", "init")
    found.on()
    try:
        yield found
    finally:
        found.off()


FAILED_THEN_DONE = [dg.DagsterRunStatus.SUCCESS, *[dg.DagsterRunStatus.FAILURE] * len(STAGES)]


def test_the_run_is_killed_in_every_stage_and_run_retries_resume_it(machine: Machine, short_run: SampleRun) -> None:
    for number, (asset, stage) in enumerate(STAGES.items()):
        with machine.waiting("sample", stop_in=stage):
            if number == 0:
                machine.launch("sample")
            process = machine.process_of_run("sample", after=number)
        in_the_middle(machine.place, stage, asset, process)
        os.kill(process, signal.SIGKILL)
    assert machine.ended("sample") == FAILED_THEN_DONE
    assert output_hashes(machine.place.store) == output_hashes(short_run.store)
    assert_once(machine.place.store)


def test_everything_is_killed_in_every_stage_and_a_restart_resumes_it(machine: Machine, short_run: SampleRun) -> None:
    """Daemon, webserver, code server and run at once, as when the machine loses its power."""
    for number, (asset, stage) in enumerate(STAGES.items()):
        with machine.waiting("power", stop_in=stage):
            if number == 0:
                machine.launch("power")
            else:
                machine.on()
            process = machine.process_of_run("power", after=number)
        in_the_middle(machine.place, stage, asset, process, batch="power")
        machine.off()
        wait_for("the end of the run's process", lambda pid=process: not psutil.pid_exists(pid))
    machine.on()
    assert machine.ended("power") == FAILED_THEN_DONE
    assert output_hashes(machine.place.store, "power") == output_hashes(short_run.store)
    assert_once(machine.place.store, "power")


def test_the_daemon_alone_is_killed_and_the_run_goes_on(machine: Machine, short_run: SampleRun) -> None:
    with machine.waiting("alone", stop_in="diarize"):
        machine.launch("alone")
        process = machine.process_of_run("alone", after=0)
    in_the_middle(machine.place, "diarize", "diarized_segments", process, batch="alone")
    os.kill(machine.pid_of("podcast_assets.defs.local_ui daemon"), signal.SIGKILL)
    assert machine.process is not None
    assert machine.process.wait(PATIENCE) is not None, "`podcast-assets dev` ends with its daemon"
    assert psutil.pid_exists(process)
    os.kill(process, signal.SIGCONT)
    machine.on()
    assert machine.ended("alone") == [dg.DagsterRunStatus.SUCCESS]
    assert output_hashes(machine.place.store, "alone") == output_hashes(short_run.store)
    assert_once(machine.place.store, "alone")


def test_one_run_in_the_queue_and_one_by_command(machine: Machine, short_run: SampleRun) -> None:
    machine.launch("both")
    command = started(machine.place, "backfill", "--here", "both", "--profile", "demo")
    assert command.wait() == 0, command.err
    wait_for("both", lambda: all(run.is_finished for run in machine.runs("both")))
    assert [run.status for run in machine.runs("both")] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert output_hashes(machine.place.store, "both") == output_hashes(short_run.store)
    assert_once(machine.place.store, "both")
