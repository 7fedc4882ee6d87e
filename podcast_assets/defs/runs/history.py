"""Deletion of past runs. A takedown deletes those of its batches, because their events show previews of texts and titles."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from podcast_assets.defs.partitions import BATCHES, UNFINISHED, batches_in_run


@dataclass(frozen=True)
class DeletedRuns:
    """Result of deleting runs."""

    deleted: int
    busy: list[str]
    """Ids of unfinished runs, which are not deleted."""


def delete_runs(instance: dg.DagsterInstance, batches: Collection[str], *, dry_run: bool = False) -> DeletedRuns:
    """Delete the finished runs of batches with their events and logs. Their results in the store are kept.

    Args:
        instance: instance to delete runs from.
        batches: a run is deleted if any of its batches is among these.
        dry_run: only count the runs.
    """
    order = list(instance.get_dynamic_partitions(BATCHES))
    matching = [run for run in instance.get_runs() if set(batches).intersection(batches_in_run(run, order))]
    busy = [run.run_id for run in matching if run.status in UNFINISHED]
    for run in matching:
        if run.run_id not in busy and not dry_run:
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
    return DeletedRuns(len(matching) - len(busy), busy)
