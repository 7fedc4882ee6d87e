"""Dagster's run launcher for one machine, with two things that its own lacks: it sees that a run died, and ends one that hangs.

`dagster.yaml` names it. Dagster's run monitoring asks it after every run that goes on; what it reports as gone is failed there,
its slots are freed, and `run_retries` starts it again, from its checkpoints.
"""

import logging
import threading
import time

import dagster as dg
import psutil

from podcast_assets.defs.dagster_internals import RunHealth, RunWorkerStatus, instance_of
from podcast_assets.defs.runs.process import ProcessNotRecorded, process_of

GRACE_SECONDS = 60.0
"""From the interrupt that asks a run to end until it is killed: what it is computing may end by itself; what hangs does not."""

UNSIGNED_SECONDS = 300.0
"""A run is signed by its process with its first asset, right after its start. One that is not, so long after, died there."""

log = logging.getLogger(__name__)


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as processes of the code server, on the machine of Dagster's daemon."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> RunHealth:
        """Whether the process that signed the run lives. What cannot be told from here counts as alive: `max_runtime` ends it."""
        try:
            process = process_of(run)
        except ProcessNotRecorded as unknown:
            record = instance_of(self).get_run_record_by_id(run.run_id)
            began = record.start_time if record else None
            if began is None or time.time() - began < UNSIGNED_SECONDS:
                return RunHealth(RunWorkerStatus.RUNNING, str(unknown))
            return RunHealth(RunWorkerStatus.NOT_FOUND, "the process that did this run died as it began")
        except LookupError as unknown:
            return RunHealth(RunWorkerStatus.RUNNING, str(unknown))
        if process is None:
            return RunHealth(RunWorkerStatus.NOT_FOUND, "the process that did this run is gone")
        return RunHealth(RunWorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, and kill its process where it is still there after a while: a call into a driver may never come back."""
        run = instance_of(self).get_run_by_id(run_id)
        try:
            process = process_of(run) if run and not run.is_finished else None
        except LookupError:
            process = None
        ended = super().terminate(run_id)
        if process is not None:
            timer = threading.Timer(GRACE_SECONDS, _kill, (process, run_id))
            timer.daemon = True
            timer.start()
        return ended


def _kill(process: psutil.Process, run_id: str) -> None:
    if process.is_running():  # the same process, not another with its number
        log.warning(
            "run %s did not end %d s after it was asked to: process %d is killed", run_id, GRACE_SECONDS, process.pid
        )
        process.kill()
