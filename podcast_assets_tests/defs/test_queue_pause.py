"""A paused queue: no tick requests a run, no queued run is taken by Dagster's own daemon, and a restart changes nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from podcast_assets.cli.batches import batches
from podcast_assets.cli.queue import pause, resume
from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import LOCAL, POSTGRES, project_file
from podcast_assets.defs.queue_pause import skip_while_paused
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.run_schedule import run_on_schedule
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.defs.unfinished_runs import read_pause


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(project_file(LOCAL), folder / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("PODCAST_STORE", str(tmp_path / "store"))
    return folder


def command(function: Callable[..., object]) -> str:
    result = CliRunner().invoke(function, [], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0
    return " ".join(result.output.split())


def dequeued(home: Path) -> int:
    """Number of runs that the daemon takes from the queue, in an instance that is opened anew as after a restart."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = QueuedRunCoordinatorDaemon(5)._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
        return len(found)


def test_queued_runs_and_ticks_wait_until_it_is_resumed(home: Path, tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = dg.GraphDefinition(name="any", node_defs=[]).to_job()
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")
        instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.QUEUED,
            remote_job_origin=RemoteJobOrigin(repository, "any"),
        )
    (tmp_path / "store/incoming").mkdir(parents=True)
    assert dequeued(home) == 1
    said = command(pause)
    assert "1 run queued, 0 active" in said
    assert "queued runs start all the same" not in said
    assert dequeued(home) == 0
    assert str(read_pause(home)) in command(batches)
    settings = Settings(store=str(tmp_path / "store"))
    schedule = run_on_schedule(settings, name="s", job="any", cron="0 0 * * *", kind="janitor", description="")
    resources = {"store": StoreResource(root=settings.store), "settings": settings}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        ticks = [
            new_batches(dg.build_sensor_context(instance, resources=resources)),
            schedule(dg.build_schedule_context(instance)),
        ]
        assert all("the queue is paused since" in str(tick.skip_message) for tick in ticks), ticks  # type: ignore[union-attr]
    assert "the queue goes on" in command(resume)
    assert dequeued(home) == 1
    assert "paused" not in command(batches)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert skip_while_paused(instance) is None
        assert isinstance(schedule(dg.build_schedule_context(instance)), dg.RunRequest)


def test_a_configuration_that_cannot_hold_the_queue_is_told(home: Path) -> None:
    own = (home / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(
        own.replace("granularity: op", "granularity: op\n  runs: {max_concurrent_runs: 8}", 1)
    )
    assert "queued runs start all the same" in command(pause)
    assert project_file(POSTGRES).read_text().count("PausableRunCoordinator") == 1
