"""Run launcher for one machine, which detects runs that died and kills runs that hang. Dagster's default launcher does neither.

`dagster.yaml` configures it. Dagster's run monitoring checks the health of running runs with it. If the process of a run is gone,
the run is marked as failed, its slots are freed, and `run_retries` starts it again from its checkpoints.
"""

import logging
import threading
import time

import dagster as dg
import psutil

from podcast_assets.defs.dagster_internals import RunHealth, RunWorkerStatus, instance_of
from podcast_assets.defs.runs.process import ProcessNotRecorded, is_of_command, process_of

GRACE_SECONDS = 60.0
"""Time between the interrupt of a run and its kill, for computations that end by themselves."""

START_SECONDS = 300.0
"""Time after which a run without a recorded process counts as dead; its first asset records the process right after the start."""

log = logging.getLogger(__name__)


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Launches runs as processes of the code server, on the machine of Dagster's daemon."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Enable health checks by run monitoring."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> RunHealth:
        """Check whether the process of a run is alive. If this machine cannot tell, it counts as alive; `max_runtime` ends it."""
        try:
            process = process_of(run)
        except ProcessNotRecorded as unknown:
            record = instance_of(self).get_run_record_by_id(run.run_id)
            began = record.start_time if record else None
            if began is None or time.time() - began < START_SECONDS:
                return RunHealth(RunWorkerStatus.RUNNING, str(unknown))
            return RunHealth(RunWorkerStatus.NOT_FOUND, "the process of this run died when it started")
        except LookupError as unknown:
            return RunHealth(RunWorkerStatus.RUNNING, str(unknown))
        if process is None:
            return RunHealth(RunWorkerStatus.NOT_FOUND, "the process of this run is gone")
        return RunHealth(RunWorkerStatus.RUNNING)

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, and kill its process if it is alive after `GRACE_SECONDS`, because a driver call may never return.

        The run of a command, such as `podcast-assets run`, ends with the command, which no code server started.
        """
        run = instance_of(self).get_run_by_id(run_id)
        try:
            process = process_of(run) if run and not run.is_finished else None
        except LookupError:
            process = None
        if run and process and is_of_command(run):
            instance_of(self).report_run_canceling(run)
            process.terminate()
            ended = True
        else:
            ended = super().terminate(run_id)
        if process is not None:
            timer = threading.Timer(GRACE_SECONDS, _kill, (process, run_id))
            timer.daemon = True
            timer.start()
        return ended


def _kill(process: psutil.Process, run_id: str) -> None:
    if process.is_running():  # false if another process has the same number now
        log.warning(
            "run %s did not end within %d s of its interrupt: killing process %d", run_id, GRACE_SECONDS, process.pid
        )
        process.kill()
