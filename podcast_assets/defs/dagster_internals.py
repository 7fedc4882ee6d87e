"""Every use of Dagster's private API, with the reason for each, for Dagster 1.13.27.

No other module imports Dagster's private modules. `setup.cfg` pins Dagster's version, and a test uses everything in this module, so
that an incompatible upgrade fails there.
"""

import functools
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution import compute_logs
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_shared.error import SerializableErrorInfo

from podcast_assets.common.redaction import redact_text

AssetJob = UnresolvedAssetJobDefinition
"""Return type of `dg.define_asset_job`, for annotations. Dagster exports only the function."""

ErrorInfo = SerializableErrorInfo
"""Error of a step failure event (`step_failure_data.error`), with its causes. Dagster exports only the event."""

RunHealth = CheckRunHealthResult
"""Result of a run launcher's health check. `dg.DefaultRunLauncher` is public, but its return types are not."""

RunWorkerStatus = WorkerStatus
"""Status of a run's process; see `RunHealth`."""


def instance_of(launcher: dg.DefaultRunLauncher) -> dg.DagsterInstance:
    """Return the instance of a run launcher. Third-party launchers read `_instance` too, because no public attribute exists."""
    return launcher._instance


def set_pool_limit(instance: dg.DagsterInstance, pool: str, limit: int) -> None:
    """Set how many steps of a pool may run at once. Publicly, only the UI, GraphQL and `dagster instance concurrency` can."""
    instance.event_log_storage.set_concurrency_slots(pool, limit)


def free_pool_slots(instance: dg.DagsterInstance, run_id: str) -> None:
    """Free the pool slots that a run holds. Dagster leaves this to its daemon, which does not always run here."""
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
    """Request a backfill of partitioned assets from the daemon.

    Publicly, only the UI and GraphQL can, which need a webserver. `dagster job backfill` ignores the backfill policy of assets and
    starts one run per partition.

    Returns:
        The id of the backfill.
    """
    # imported here because it takes 0.2 s
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
    """Ask the daemon to cancel a backfill. Publicly, only the UI and GraphQL can.

    Returns:
        Its previous status in lower case (only `requested` ones are canceled); None if there is no such backfill.
    """
    from dagster._core.execution.backfill import BulkActionStatus

    backfill = instance.get_backfill(backfill_id)
    if backfill is None:
        return None
    if backfill.status == BulkActionStatus.REQUESTED:
        instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELING))
    return backfill.status.value.lower()


def sleep_while_waiting_for_a_pool() -> None:
    """Make runs of this process sleep while they wait for a pool slot, instead of polling without a pause.

    Executors sleep for `interval_to_next_pending_claim_check`. It returns `min([0, …])`, which is never above zero, so each waiting
    run uses a whole core: https://github.com/dagster-io/dagster/pull/20367 describes it and was closed unmerged. No setting avoids
    it. The multiprocess executor has the same problem, and its process per step costs about 20 CPU seconds more per batch.
    """
    InstanceConcurrencyContext.interval_to_next_pending_claim_check = _seconds_to_next_claim


def keep_ctrl_c_from_log_mirrors() -> None:
    """Start the processes that mirror a step's output to the terminal in process groups of their own.

    Ctrl+C goes to all processes of the terminal's group. It ended `tail` before the last lines were shown, and the process that
    watches over it with a traceback. Dagster ends both of them itself, and has no setting for how it starts them.
    """
    quiet = types.SimpleNamespace(Popen=functools.partial(subprocess.Popen, process_group=0))
    compute_logs.subprocess = quiet  # type: ignore[attr-defined]


def redact_stored_errors() -> None:
    """Redact the errors that Dagster stores as events and ticks, and shows in its UI.

    Messages of libraries contain URLs with passwords. Dagster's own option, DAGSTER_REDACT_USER_CODE_ERRORS, hides whole errors.
    """
    if SerializableErrorInfo.from_traceback.__func__ is not _redacted_error:  # type: ignore[attr-defined]
        SerializableErrorInfo.from_traceback = classmethod(_redacted_error)  # type: ignore[assignment]


_from_traceback = SerializableErrorInfo.from_traceback.__func__  # type: ignore[attr-defined]


def _redacted_error(cls: type[SerializableErrorInfo], trace: traceback.TracebackException) -> SerializableErrorInfo:
    error: SerializableErrorInfo = _from_traceback(cls, trace)  # calls this function for the causes
    return error._replace(message=redact_text(error.message), stack=[redact_text(line) for line in error.stack])


def _seconds_to_next_claim(self: InstanceConcurrencyContext) -> float:
    """Seconds until the next waiting step should check for a slot; 0 if none waits."""
    due = [at for step, at in self._pending_timeouts.items() if step in self._pending_claims]
    return max(0.0, min(due) - time.time()) if due else 0.0


def run_dev(arguments: Sequence[str], webserver: Sequence[str]) -> None:
    """Run `dagster dev` in this process, with another command in place of its web server. Dagster has no option for that.

    Args:
        arguments: arguments of `dagster dev`.
        webserver: command that takes the arguments of `dagster-webserver`.
    """
    from dagster._cli import dev, main

    start = dev.open_ipc_subprocess  # pyright: ignore[reportPrivateImportUsage]

    def start_other(command: list[str], **options: Any) -> Any:
        if command[1:3] == ["-m", "dagster_webserver"]:
            command = [*webserver, *command[3:]]
        return start(command, **options)

    dev.open_ipc_subprocess = start_other  # pyright: ignore[reportPrivateImportUsage]
    sys.argv = ["dagster", "dev", *arguments]
    main()


def run_webserver(arguments: Sequence[str], allowed_hosts: Sequence[str]) -> None:
    """Run `dagster-webserver` in this process, refusing requests for other hosts. It has no option for that.

    Args:
        arguments: arguments of `dagster-webserver`.
        allowed_hosts: values of the header `Host`, without ports.
    """
    from dagster_webserver import cli
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    make_app = cli.create_app_from_workspace_process_context  # pyright: ignore[reportPrivateImportUsage]

    def make_guarded_app(*positional: Any, **options: Any) -> Any:
        app = make_app(*positional, **options)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False)
        return app

    cli.create_app_from_workspace_process_context = make_guarded_app  # pyright: ignore[reportPrivateImportUsage]
    sys.argv = ["dagster-webserver", *arguments]
    cli.main()
