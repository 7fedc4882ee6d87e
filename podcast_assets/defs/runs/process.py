"""The process of a run, and whether it is alive, which Dagster does not record for runs on one machine.

A process records its host, number and creation time in tags of its run. The number alone is not enough, because it is reused after
a restart of the machine.
"""

import os
import socket

import dagster as dg
import psutil

HOST, PID, BORN, RUN, COMMAND = (f".dagster/podcast/{name}" for name in ("host", "pid", "born", "run", "command"))
"""Tags of runs; Dagster's UI hides names that begin with `.dagster/`."""

_TOLERANCE = 2.0
"""Seconds by which creation times of the same process may differ; the kernel derives them from the clock, which may be adjusted."""


_NAMES_BEFORE = {HOST: "podcast/host", PID: "podcast/pid", BORN: "podcast/born", RUN: "podcast/run"}
"""Names in runs that the version before started, which may still run. Remove them with the release after the next."""


class ProcessNotRecorded(LookupError):
    """A run has no recorded process."""


def process_tags(run_id: str | None = None) -> dict[str, str]:
    """Return tags that record this process as that of a run.

    Args:
        run_id: id of the run, if known. A retry inherits the tags of the run that it repeats, and the id shows whose they are.
    """
    born = psutil.Process().create_time()
    tags = {HOST: socket.gethostname(), PID: str(os.getpid()), BORN: f"{born:.1f}"}
    return tags | ({RUN: run_id} if run_id else {})


def command_tags(run_id: str) -> dict[str, str]:
    """Return tags that record this process, which runs a command, as that of a run which it executes itself.

    Dagster's daemon does not retry such a run: it ends with its command, which says how to resume it.
    """
    return process_tags(run_id) | {COMMAND: run_id, "dagster/max_retries": "0"}


def is_of_command(run: dg.DagsterRun) -> bool:
    """Whether a command executes a run itself. The daemon's repetition of such a run has its tags, with the id of that run."""
    return run.tags.get(COMMAND) == run.run_id


def record_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Record this process in the tags of a run."""
    if _recorded(run).get(RUN) != run.run_id:
        instance.add_run_tags(run.run_id, process_tags(run.run_id))


def process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """Find the process of a run; None if it is gone.

    Raises:
        ProcessNotRecorded: the run has not recorded its process yet.
        LookupError: the run is on another machine.
    """
    tags = _recorded(run)
    if not {HOST, PID, BORN} <= tags.keys() or tags.get(RUN, run.run_id) != run.run_id:
        raise ProcessNotRecorded(f"run {run.run_id} has not recorded its process")
    if tags[HOST] != socket.gethostname():
        raise LookupError(f"run {run.run_id} is on {tags[HOST]}")
    try:
        found = psutil.Process(int(tags[PID]))
        same = abs(found.create_time() - float(tags[BORN])) < _TOLERANCE
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _recorded(run: dg.DagsterRun) -> dict[str, str]:
    """Tags of a run that record its process, by their names of this version."""
    return {
        name: value
        for name, before in _NAMES_BEFORE.items()
        if (value := run.tags.get(name, run.tags.get(before))) is not None
    }


def machine_of(run: dg.DagsterRun) -> str | None:
    """Host name of the machine that a run is on; None if it has not recorded its process."""
    recorded = _recorded(run)
    return recorded.get(HOST) if recorded.get(RUN, run.run_id) == run.run_id else None


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process of a run is known to be gone."""
    try:
        return process_of(run) is None
    except LookupError:
        return False
