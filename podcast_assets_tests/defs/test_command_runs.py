"""Runs of `run`, `demo` and `--here` in the UI: listed under their job, without tags that only programs read, and ended there."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG, TagType, get_tag_type

from podcast_assets.config.settings import Settings
from podcast_assets.defs import launch
from podcast_assets.defs.dagster_internals import execute_in_location
from podcast_assets.defs.runs.process import BORN, PID, command_tags, is_of_command, process_of, process_tags
from podcast_assets_tests.conftest import Place


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


@dg.job
def failing_job() -> None:
    @dg.op
    def fail() -> None:
        raise ValueError("on purpose")

    fail()


def test_a_run_of_a_command_is_listed_under_its_job(place: Place, instance: dg.DagsterInstance) -> None:
    """The UI asks for the runs of a job by its name and the label of its code location; the timeline does the same."""
    done = launch.run_in_process(instance, Settings(store=str(place.folder / "store")), ["absent"], source="command")
    listed = dg.RunsFilter(job_name="podcast_dataset", tags={REPOSITORY_LABEL_TAG: "__repository__@podcast_assets"})
    (run,) = instance.get_runs(listed)
    assert run.run_id == done.run_id
    visible = {key for key in run.tags if get_tag_type(key) != TagType.HIDDEN}
    assert [key for key in visible if not key.startswith("dagster/")] == ["podcast/source"]
    assert is_of_command(run)


def test_the_daemon_does_not_repeat_the_run_of_a_command(instance: dg.DagsterInstance) -> None:
    """Ctrl+C would start it again otherwise, with other settings and out of sight."""
    retried = {}
    for name, run_id in (("of a command", "00000000-0000-0000-0000-000000000001"), ("of a daemon", None)):
        tags = command_tags(run_id) if run_id else {}
        result = execute_in_location(
            failing_job, instance, "podcast_assets", run_id=run_id, tags=tags, raise_on_error=False
        )
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        retried[name] = auto_reexecution_should_retry_run(instance, run, None)
    assert retried == {"of a command": False, "of a daemon": True}


def test_terminate_in_the_ui_ends_the_command(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as command:
        run_id = "00000000-0000-0000-0000-000000000002"
        recorded = {PID: str(command.pid), BORN: f"{psutil.Process(command.pid).create_time():.1f}"}
        instance.create_run_for_job(
            failing_job, run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=command_tags(run_id) | recorded
        )
        assert instance.run_launcher.terminate(run_id)
        assert command.wait(60) == -signal.SIGTERM
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELING, "the command records its end"


def test_the_process_of_a_run_of_the_version_before_is_found(instance: dg.DagsterInstance) -> None:
    before = {key.replace(".dagster/", ""): value for key, value in process_tags().items()}
    assert all(key.startswith("podcast/") for key in before)
    run = instance.create_run_for_job(failing_job, status=dg.DagsterRunStatus.STARTED, tags=before)
    found = process_of(run)
    assert found is not None
    assert found.pid == psutil.Process().pid


def test_a_repetition_in_the_ui_is_not_the_run_of_the_command(instance: dg.DagsterInstance) -> None:
    """It has the tags of the run that it repeats, and the daemon tells the webhook of it."""
    tags = command_tags("00000000-0000-0000-0000-000000000003")
    assert not is_of_command(instance.create_run_for_job(failing_job, tags=tags))
