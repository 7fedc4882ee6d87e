"""The process of a run, and whether it is alive, which Dagster does not record for runs on one machine.

A process records its host, number and creation time in tags of its run. The number alone is not enough, because it is reused after
a restart of the machine.
"""

import os
import socket

import dagster as dg
import psutil

HOST, PID, BORN, RUN = (f"podcast/{name}" for name in ("host", "pid", "born", "run"))

_TOLERANCE = 2.0
"""Seconds by which creation times of the same process may differ; the kernel derives them from the clock, which may be adjusted."""


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


def record_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Record this process in the tags of a run."""
    if run.tags.get(RUN) != run.run_id:
        instance.add_run_tags(run.run_id, process_tags(run.run_id))


def process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """Find the process of a run; None if it is gone.

    Raises:
        ProcessNotRecorded: the run has not recorded its process yet.
        LookupError: the run is on another machine.
    """
    tags = run.tags
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


def is_dead(run: dg.DagsterRun) -> bool:
    """Whether the process of a run is known to be gone."""
    try:
        return process_of(run) is None
    except LookupError:
        return False
