"""Dagster's instance on this machine: its folder, its GPU slots, and runs whose process died."""

import os
import shutil
import socket
import sys
from pathlib import Path

import dagster as dg

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import file_lock
from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import free_pool_slots, set_pool_limit
from podcast_assets.defs.runs.process import HOST, PID, is_dead

POOL = "gpu"
LOCAL, POSTGRES = "dagster.yaml", "dagster.postgres.yaml"
"""The two configurations: SQLite for one machine, PostgreSQL beyond it."""
_TABLES_ARE_THERE = ".tables-are-there"


def prepare_home(settings: Settings, configuration: str | None = None) -> Path:
    """Make DAGSTER_HOME, put a dagster.yaml there unless there is one, and point Dagster (and what we start) at it.

    Args:
        settings: name the folder.
        configuration: the project's file to take, `LOCAL` or `POSTGRES`; None for the one that is there, else `LOCAL`.

    Raises:
        Misconfigured: another one is there.
    """
    home = settings.dagster_home.expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    source = project_file(configuration or LOCAL)
    if not target.exists():
        copy = home / f".{target.name}.{os.getpid()}"
        shutil.copyfile(source, copy)
        copy.replace(target)  # another command may read it at any time, and must not see half of it
    elif configuration and target.read_bytes() != source.read_bytes():
        raise Misconfigured(
            f"{target} is there and differs from {source.name} of this version: move it away first. What it recorded stays where "
            "it is, and is not carried over to another storage"
        )
    os.environ["DAGSTER_HOME"] = str(home)
    if target.read_bytes() == project_file(LOCAL).read_bytes() and not (home / _TABLES_ARE_THERE).exists():
        _make_tables(home)
    return home


def _make_tables(home: Path) -> None:
    """Make SQLite's tables: of two commands that are the first to open an instance, Dagster fails one."""
    with file_lock(home / ".making-tables", "somebody else makes Dagster's tables"):
        with dg.DagsterInstance.get():
            pass
        (home / _TABLES_ARE_THERE).touch()


def project_file(name: str) -> Path:
    """A file of the project's top level: in a checkout beside the package, else where the installation put it.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    places = [Path(__file__).parents[2] / name, Path(sys.prefix) / "share" / "podcast-assets" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{name} is neither at {places[0]} nor at {places[1]}")


def set_gpu_slots(instance: dg.DagsterInstance, slots: int) -> None:
    """How many steps may compute on GPUs at once."""
    set_pool_limit(instance, POOL, slots)


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs that processes of this machine began and did not live to end, and free their slots; gives their ids.

    Dagster's daemon does so too, where it runs (`run_launcher.py`).
    """
    unfinished = instance.get_runs(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING],
            tags={HOST: socket.gethostname()},
        )
    )
    dead = [run for run in unfinished if is_dead(run)]
    for run in dead:
        instance.report_run_failed(run, f"process {run.tags[PID]}, which did this run, is gone")
        free_pool_slots(instance, run.run_id)
    return [run.run_id for run in dead]
