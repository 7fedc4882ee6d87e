"""What the project uses of Dagster that is not its public interface: all of it, with the reason for each, for Dagster 1.13.27.

Nothing else imports Dagster's internal modules. `setup.cfg` pins Dagster's version, and a test uses all that is here, so that
an upgrade which changes any of it fails there.
"""

import time
from collections.abc import Iterable, Mapping

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_shared.error import SerializableErrorInfo

AssetJob = UnresolvedAssetJobDefinition
"""What `dg.define_asset_job` returns. Dagster exports the function and not the type, which annotations need."""

ErrorInfo = SerializableErrorInfo
"""The error of a step's failure event (`step_failure_data.error`), with its causes. Dagster exports the event and not the type."""

RunHealth = CheckRunHealthResult
"""What a run launcher answers to run monitoring. `dg.DefaultRunLauncher` is public, the types of its answer are not."""

RunWorkerStatus = WorkerStatus
"""Whether the process of a run lives; see `RunHealth`."""


def instance_of(launcher: dg.DefaultRunLauncher) -> dg.DagsterInstance:
    """The instance that a run launcher belongs to. Launchers outside Dagster read `_instance` too: nothing public gives it."""
    return launcher._instance


def set_pool_limit(instance: dg.DagsterInstance, pool: str, limit: int) -> None:
    """Set how many steps of a pool run at once. Otherwise only the UI, GraphQL and `dagster instance concurrency` do."""
    instance.event_log_storage.set_concurrency_slots(pool, limit)


def free_pool_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Free the slots of pools that a run holds. Otherwise the daemon does, and it does not always run."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def add_asset_backfill(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    selection: dg.AssetSelection,
    partitions: Iterable[str],
    *,
    tags: Mapping[str, str],
    title: str,
) -> str:
    """Ask the daemon for a backfill of partitioned assets over partitions; gives its id.

    Otherwise only the UI and GraphQL do, which need a webserver: `dagster job backfill` starts one run per partition, whatever the
    assets' backfill policy.
    """
    # costs 0.2 s, which nothing else has to pay
    from dagster._core.execution.backfill import PartitionBackfill
    from dagster._core.utils import make_new_backfill_id

    graph = definitions.resolve_asset_graph()
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=graph,
        partition_names=list(partitions),
        asset_selection=sorted(selection.resolve(graph)),
        backfill_timestamp=time.time(),
        tags=tags,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return backfill.backfill_id


def cancel_backfill(instance: dg.DagsterInstance, backfill_id: str) -> str | None:
    """Ask the daemon to cancel a backfill that it works on. Otherwise only the UI and GraphQL do.

    Returns:
        The status that it had, in small letters (`requested` where it is canceled now); None where there is no such backfill.
    """
    from dagster._core.execution.backfill import BulkActionStatus

    backfill = instance.get_backfill(backfill_id)
    if backfill is None:
        return None
    if backfill.status == BulkActionStatus.REQUESTED:
        instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))
    return backfill.status.value.lower()


def sleep_while_waiting_for_a_pool() -> None:
    """Make runs of this process sleep while they wait for a slot of a pool, in place of looking again at once.

    The executors ask `interval_to_next_pending_claim_check` how long they may sleep. It answers `min([0, …])`, which is never above
    zero, so each run that waits takes a whole core: https://github.com/dagster-io/dagster/pull/20367 describes it and was closed
    unmerged. No setting avoids it, and the multiprocess executor does not either: it does not even ask, and its process per step
    costs some 20 CPU seconds more a batch.
    """
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _seconds_to_next_claim


def _seconds_to_next_claim(self: InstanceConcurrencyContext) -> float:
    """Seconds until the first of the waiting steps is to look for a slot again; 0 where none waits."""
    due = [at for step, at in self._pending_timeouts.items() if step in self._pending_claims]
    return max(0.0, min(due) - time.time()) if due else 0.0
