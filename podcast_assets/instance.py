"""Dagster's instance on this machine: its folder, its GPU slots, and runs whose process died."""

import os
import shutil
import socket
import sys
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG

from podcast_assets.processes import alive
from podcast_assets.settings import Settings

POOL = "gpu"
HOST_TAG, PID_TAG = "podcast/host", "podcast/pid"


def prepare_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME, put dagster.yaml there unless there is one, and point Dagster (and what we start) at it."""
    home = settings.dagster_home.expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists():
        shutil.copyfile(project_file("dagster.yaml"), target)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def project_file(name: str) -> Path:
    """A file of the project's top level: in a checkout beside the package, else where the installation put it.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    places = [Path(__file__).parents[1] / name, Path(sys.prefix) / "share" / "podcast-assets" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{name} is neither at {places[0]} nor at {places[1]}")


def set_gpu_slots(instance: dg.DagsterInstance, slots: int) -> None:
    """How many steps may compute on GPUs at once."""
    instance.event_log_storage.set_concurrency_slots(POOL, slots)


def process_tags() -> dict[str, str]:
    """Tags that say which process does a run, for `end_dead_runs`."""
    return {HOST_TAG: socket.gethostname(), PID_TAG: str(os.getpid())}


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs that processes of this machine began and did not live to end, and free their slots; gives their ids.

    Dagster's daemon watches the runs that it launched; a run of `podcast-assets run` has nobody else to watch it. (One that was
    re-executed in the UI still has the tags of the first: it was launched, and is the daemon's.)
    """
    unfinished = instance.get_runs(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
            tags={HOST_TAG: socket.gethostname()},
        )
    )
    dead = [run for run in unfinished if GRPC_INFO_TAG not in run.tags and not alive(int(run.tags.get(PID_TAG, 0)))]
    for run in dead:
        instance.report_run_failed(run, f"process {run.tags.get(PID_TAG)}, which did this run, is gone")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]
