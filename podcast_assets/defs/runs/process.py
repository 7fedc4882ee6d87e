"""Which process does a run, and whether it lives: what Dagster's daemon does not see of the runs of one machine.

The process writes its host, its number and when it was born into tags of its run. A number alone would not do: after a
restart of the machine another process soon has it.
"""

import os
import socket

import dagster as dg
import psutil

HOST, PID, BORN, RUN = (f"podcast/{name}" for name in ("host", "pid", "born", "run"))

_SAME = 2.0
"""Seconds within which two times of birth are one: the kernel tells it in ticks since the start, and clocks are set."""


class ProcessNotRecorded(LookupError):
    """No process has written into a run's tags that it does it."""


def process_tags(run_id: str | None = None) -> dict[str, str]:
    """Tags that say that this process does a run.

    Args:
        run_id: of the run; None where it is not known yet. A retry has the tags of the run that it repeats, and must not be taken
            for dead because that one is.
    """
    born = psutil.Process().create_time()
    tags = {HOST: socket.gethostname(), PID: str(os.getpid()), BORN: f"{born:.1f}"}
    return tags | ({RUN: run_id} if run_id else {})


def record_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Write into a run's tags that this process does it."""
    if run.tags.get(RUN) != run.run_id:
        instance.add_run_tags(run.run_id, process_tags(run.run_id))


def process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """The process that does a run, if it lives on this machine; None where it is gone.

    Raises:
        ProcessNotRecorded: the run is not signed yet.
        LookupError: another machine does it.
    """
    tags = run.tags
    if not {HOST, PID, BORN} <= tags.keys() or tags.get(RUN, run.run_id) != run.run_id:
        raise ProcessNotRecorded(f"run {run.run_id} is not signed by a process")
    if tags[HOST] != socket.gethostname():
        raise LookupError(f"run {run.run_id} goes on at {tags[HOST]}")
    try:
        found = psutil.Process(int(tags[PID]))
        same = abs(found.create_time() - float(tags[BORN])) < _SAME
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process of a run is known to be gone."""
    try:
        return process_of(run) is None
    except LookupError:
        return False
