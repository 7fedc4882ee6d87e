"""The Dagster instance on this machine: its folder, its GPU slots, and runs whose process died."""

import os
import shutil
import sys
from pathlib import Path

import dagster as dg

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import file_lock
from podcast_assets.config.settings import Settings
from podcast_assets.defs.dagster_internals import free_pool_slots, set_pool_limit
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.runs.process import is_dead
from podcast_assets.stages.requirements import GPU_POOL
from podcast_assets.store.backends.access import make_folders

LOCAL, POSTGRES = "dagster.yaml", "dagster.postgres.yaml"
"""Configurations of the instance: SQLite for one machine, PostgreSQL for several."""
_TABLES_CREATED = ".tables-are-there"


def prepare_home(settings: Settings, configuration: str | None = None) -> Path:
    """Create DAGSTER_HOME with a dagster.yaml, and set it in the environment of this process and its children.

    Args:
        settings: settings with the folder.
        configuration: file of the project to copy, `LOCAL` or `POSTGRES`; None to keep an existing file, or copy `LOCAL`.

    Raises:
        Misconfigured: the folder has another configuration.
    """
    home = settings.dagster_home.absolute()
    make_folders(home, settings.store_access)  # its logs and events name episodes
    target = home / "dagster.yaml"
    source = project_file(configuration or LOCAL)
    if not target.exists():
        copy = home / f".{target.name}.{os.getpid()}"
        shutil.copyfile(source, copy)
        copy.replace(target)  # atomic, because another command may read it at any time
    elif configuration and target.read_bytes() != source.read_bytes():
        raise Misconfigured(
            f"{target} exists and differs from {source.name} of this version: move it away first. Its run history stays where it "
            "is, and is not migrated to another storage"
        )
    os.environ["DAGSTER_HOME"] = str(home)
    if target.read_bytes() == project_file(LOCAL).read_bytes() and not (home / _TABLES_CREATED).exists():
        _create_tables(home)
    return home


def _create_tables(home: Path) -> None:
    """Create SQLite's tables under a lock, because Dagster fails if two processes are the first to open an instance."""
    with file_lock(home / ".making-tables", "waiting for another process that creates Dagster's tables"):
        with dg.DagsterInstance.get():
            pass
        (home / _TABLES_CREATED).touch()


def project_file(name: str) -> Path:
    """Find a file of the project's top level, in a checkout or where the installation put it.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    places = [Path(__file__).parents[2] / name, Path(sys.prefix) / "share" / "podcast-assets" / name]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"{name} is neither at {places[0]} nor at {places[1]}")


def set_gpu_slots(instance: dg.DagsterInstance, slots: int) -> None:
    """Set how many steps may compute on GPUs at once."""
    set_pool_limit(instance, GPU_POOL, slots)


def query_databases() -> None:
    """Read something from each database of the instance in DAGSTER_HOME, because processes of the UI would print tracebacks.

    Raises:
        Exception: one cannot be used; `cli/database_errors.py` describes it.
    """
    with dg.DagsterInstance.get() as instance:
        instance.get_runs_count()
        instance.get_dynamic_partitions(BATCHES)
        instance.all_instigator_state()


def end_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of this machine as failed if their process is gone, and free their pool slots.

    Dagster's daemon does the same if it runs (`runs/launcher.py`).

    Returns:
        The ids of the runs.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]))
    dead = [run for run in unfinished if is_dead(run)]
    for run in dead:
        instance.report_run_failed(run, "the process that executed this run is gone")
        free_pool_slots(instance, run.run_id)
    return [run.run_id for run in dead]
