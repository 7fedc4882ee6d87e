"""What Dagster remembers of runs: their events show previews of texts and titles, so a takedown deletes those of its batches."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from podcast_assets.defs.partitions import BATCHES, UNFINISHED, batches_in_run


@dataclass(frozen=True)
class DeletedRuns:
    """What became of the runs of some batches."""

    deleted: int
    busy: list[str]
    """Ids of runs that wait or go on, and stay."""


def delete_runs(instance: dg.DagsterInstance, batches: Collection[str], *, dry_run: bool = False) -> DeletedRuns:
    """Delete the ended runs of some batches with their events and logs. What they made stays in the store.

    Args:
        instance: that remembers them.
        batches: a run of several goes if it had one of these.
        dry_run: only count them.
    """
    order = list(instance.get_dynamic_partitions(BATCHES))
    own = [run for run in instance.get_runs() if set(batches).intersection(batches_in_run(run, order))]
    busy = [run.run_id for run in own if run.status in UNFINISHED]
    for run in own:
        if run.run_id not in busy and not dry_run:
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
    return DeletedRuns(len(own) - len(busy), busy)
