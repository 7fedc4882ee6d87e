"""Partitions of the assets: one per batch."""

from collections.abc import Sequence

import dagster as dg
import sqlalchemy.exc

from podcast_assets.defs import unfinished_runs

BATCHES = "batch"

batches = dg.DynamicPartitionsDefinition(name=BATCHES)
"""One partition per batch, added by the sensor `new_batches`, `podcast-assets run` and `podcast-assets add`."""

PARTITION = "dagster/partition"
PARTITION_RANGE_START = "dagster/asset_partition_range_start"
PARTITION_RANGE_END = "dagster/asset_partition_range_end"
"""Dagster's tags of a run for one partition, and of a run for a range of partitions."""

UNFINISHED = [dg.DagsterRunStatus(status) for status in unfinished_runs.UNFINISHED]


def add_batches(instance: dg.DagsterInstance, batches: Sequence[str]) -> None:
    """Add batches to the partitions; existing ones are left as they are, also those that another process adds meanwhile."""
    missing = _missing_batches(instance, batches)
    while missing:
        try:
            instance.add_dynamic_partitions(BATCHES, missing)
            return
        except sqlalchemy.exc.IntegrityError:
            # on SQLite, Dagster reads the existing partitions and then inserts the others: another process was faster
            before, missing = missing, _missing_batches(instance, batches)
            if missing == before:
                raise


def _missing_batches(instance: dg.DagsterInstance, batches: Sequence[str]) -> list[str]:
    existing = set(instance.get_dynamic_partitions(BATCHES))
    return [b for b in dict.fromkeys(batches) if b not in existing]


def batches_in_run(run: dg.DagsterRun, order: Sequence[str]) -> list[str]:
    """Return the batches of a run: one, a range, or none.

    Args:
        run: any run.
        order: all partitions in order. If it lacks an end of the run's range, only the two ends are returned.
    """
    first, last = run.tags.get(PARTITION_RANGE_START), run.tags.get(PARTITION_RANGE_END)
    if first in order and last in order:
        return list(order[order.index(first) : order.index(last) + 1])
    return list(dict.fromkeys(b for b in (run.tags.get(PARTITION), first, last) if b is not None))


def busy_batches(instance: dg.DagsterInstance) -> set[str]:
    """Return the batches of all unfinished runs."""
    order = list(instance.get_dynamic_partitions(BATCHES))
    return {b for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) for b in batches_in_run(run, order)}
