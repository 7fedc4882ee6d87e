"""How Dagster's daemon launches runs on one machine: as it does by default, and it can tell whether a run's process lives.

A code server tells of a run whose process died. Where it dies with it (kill -9, out of memory, a power cut), the default launcher
has nobody to ask: the run would be going on in the books for ever, and keep its GPU slot and its batch. With this one, run
monitoring finds it, and run retries start it again.
"""

import json
import socket

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from podcast_assets.instance import HOST_TAG, PID_TAG
from podcast_assets.processes import alive

_STARTED = "Started process for run"
"""How the message begins by which Dagster tells a run's process."""


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """The default run launcher, with a health check for runs of this machine."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does, so Dagster's run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives; of runs of other machines, and of those that have told none, nothing bad is said."""
        found = process_of(self._instance, run)
        if found is None or alive(*found):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {found[0]}, which did this run, is gone")


def process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[int, float] | None:
    """Number of the process of this machine that does a run, and when it said so (POSIX seconds); None where it is elsewhere."""
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "null"))
    if server is None:
        here = run.tags.get(HOST_TAG) == socket.gethostname() and PID_TAG in run.tags
        record = instance.get_run_record_by_id(run.run_id) if here else None
        return (int(run.tags[PID_TAG]), record.create_timestamp.timestamp()) if record else None
    if server.get("host") not in ("localhost", "127.0.0.1"):
        return None
    for entry in reversed(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
        event = entry.get_dagster_event()
        pid = event.engine_event_data.metadata.get("pid")
        if (event.message or "").startswith(_STARTED) and pid is not None:
            return int(str(pid.value)), entry.timestamp
    return None
