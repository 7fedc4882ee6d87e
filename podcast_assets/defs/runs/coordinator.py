"""Dagster's own run coordinator, whose queue can be paused. `dagster.yaml` configures it."""

import dagster as dg

from podcast_assets.defs.dagster_internals import QueueLimits, coordinated_instance
from podcast_assets.defs.queue_pause import paused_since


class PausableRunCoordinator(dg.QueuedRunCoordinator):
    """Queues runs, of which Dagster's daemon starts none while the queue is paused: it asks for the limit at each turn."""

    def get_run_queue_config(self) -> QueueLimits:
        """Return the limits of the queue; none may run while it is paused.

        Limits under `concurrency: runs:` in dagster.yaml would override them, so ours lie under `run_coordinator:`.
        """
        limits = super().get_run_queue_config()
        return limits._replace(max_concurrent_runs=0) if paused_since(coordinated_instance(self)) else limits
