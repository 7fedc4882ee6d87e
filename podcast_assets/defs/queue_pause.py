"""Pause of the queue: no sensor or schedule requests a run, and no queued run starts, until it is resumed. Running ones go on.

The time of the pause lies in the database of the Dagster instance: it survives restarts, and holds for all machines.
"""

import dagster as dg

from podcast_assets.defs import dagster_internals
from podcast_assets.defs.unfinished_runs import PAUSED_SINCE


def paused_since(instance: dg.DagsterInstance) -> str | None:
    """When the queue was paused, for people; None if it is not."""
    return dagster_internals.read_note(instance, PAUSED_SINCE) or None


def pause(instance: dg.DagsterInstance, at: str) -> bool:
    """Pause the queue, unless it is paused already.

    Args:
        instance: the instance.
        at: when, for people.

    Returns:
        Whether queued runs are held back. False for an instance whose configuration names another run coordinator.
    """
    if paused_since(instance) is None:
        dagster_internals.write_note(instance, PAUSED_SINCE, at)
    return dagster_internals.most_concurrent_runs(instance) == 0


def resume(instance: dg.DagsterInstance) -> None:
    """Let queued runs start and sensors and schedules request runs again."""
    dagster_internals.write_note(instance, PAUSED_SINCE, "")


def skip_while_paused(instance: dg.DagsterInstance) -> dg.SkipReason | None:
    """Reason for a tick to do nothing while the queue is paused; None if it is not."""
    since = paused_since(instance)
    return dg.SkipReason(f"the queue is paused since {since}: `podcast-assets resume`") if since else None
