"""Every use of Dagster's private API, with the reason for each, for Dagster 1.13.27.

No other module imports Dagster's private modules. `setup.cfg` pins Dagster's version, and a test uses everything in this module, so
that an incompatible upgrade fails there.
"""

import functools
import json
import logging
import subprocess
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import sqlalchemy
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution import compute_logs
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
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

QueueLimits = RunQueueConfig
"""Limits of a run coordinator's queue. `dg.QueuedRunCoordinator` is public, but its return types are not."""


def instance_of(launcher: dg.DefaultRunLauncher) -> dg.DagsterInstance:
    """Return the instance of a run launcher. Third-party launchers read `_instance` too, because no public attribute exists."""
    return launcher._instance


def coordinated_instance(coordinator: dg.QueuedRunCoordinator) -> dg.DagsterInstance:
    """Return the instance of a run coordinator, which has it as launchers do."""
    return coordinator._instance


def read_note(instance: dg.DagsterInstance, key: str) -> str | None:
    """Read a value that this project keeps in Dagster's database, in the table where sensors and daemons keep theirs."""
    return instance.daemon_cursor_storage.get_cursor_values({key}).get(key)


def write_note(instance: dg.DagsterInstance, key: str, value: str) -> None:
    """Write a value into Dagster's database; see `read_note`."""
    instance.daemon_cursor_storage.set_cursor_values({key: value})


def most_concurrent_runs(instance: dg.DagsterInstance) -> int | None:
    """Maximum number of runs that the daemon runs at once, as it reads it now; None if it does not queue runs."""
    queue: QueueLimits | None = instance.get_concurrency_config().run_queue_config
    return queue.max_concurrent_runs if queue else None


def execute_in_location(
    job: dg.JobDefinition, instance: dg.DagsterInstance, location: str, **options: Any
) -> dg.ExecuteInProcessResult:
    """Execute a job in this process, and record the run as one of a code location.

    The UI shows only such runs in its timeline and on the page of the job. `execute_in_process` creates its run without a location,
    and has no option for it.

    Args:
        job: the job.
        instance: instance that records the run.
        location: name of the code location in `workspace.yaml`.
        options: further arguments of `execute_in_process`.
    """
    from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), SINGLETON_REPOSITORY_NAME)
    create_run = functools.partial(instance.create_run_for_job, remote_job_origin=RemoteJobOrigin(repository, job.name))
    instance.create_run_for_job = create_run  # type: ignore[method-assign]
    try:
        return job.execute_in_process(instance=instance, **options)
    finally:
        del instance.create_run_for_job


def set_pool_limit(instance: dg.DagsterInstance, pool: str, limit: int) -> None:
    """Set how many steps of a pool may run at once. Publicly, only the UI, GraphQL and `dagster instance concurrency` can."""
    instance.event_log_storage.set_concurrency_slots(pool, limit)


def pool_slots(instance: dg.DagsterInstance, pool: str) -> int:
    """Number of steps of a pool that may run at once: its limit, or the default of dagster.yaml, or 1."""
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    return limits.get(pool, instance.get_concurrency_config().pool_config.default_pool_limit or 1)


def database_time(instance: dg.DagsterInstance) -> float | None:
    """Time of the database server, POSIX seconds; None for SQLite, which has this machine's clock."""
    from sqlalchemy import text

    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        if connection.dialect.name != "postgresql":
            return None
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


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


def rewrite_materializations(
    instance: dg.DagsterInstance,
    assets: Sequence[dg.AssetKey],
    partitions: Sequence[str],
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    *,
    dry_run: bool = False,
) -> int:
    """Change the metadata of recorded materializations in place. Dagster can only delete the whole run, or all of an asset.

    An event is a row of the log of its run, with SQLite a copy of it in an index of all runs, and the latest of each asset is a
    column of the asset. All of them are changed.

    Args:
        instance: instance with the events.
        assets: assets whose materializations are changed.
        partitions: their partitions.
        change: returns the metadata entries to keep, as JSON objects with `label` and `entry_data`.
        dry_run: only count the events.

    Returns:
        Number of events whose metadata change.

    Raises:
        NotImplementedError: the instance keeps its events neither in SQLite nor in PostgreSQL or MySQL.
    """
    from dagster._core.events import DagsterEventType
    from dagster._core.storage.event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.schema import AssetKeyTable, SqlEventLogStorageTable

    storage, keys = instance.event_log_storage, [a.to_string() for a in assets]
    if not isinstance(storage, SqlEventLogStorage):
        raise NotImplementedError(f"events in {type(storage).__name__} cannot be changed")
    events, latest = SqlEventLogStorageTable.c, AssetKeyTable.c
    found: dict[str, int] = {}
    for partition in partitions:
        where = (
            events.asset_key.in_(keys)
            & (events.partition == partition)
            & (events.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION.value)
        )
        with storage.index_connection() as index:
            run_ids = [r for (r,) in index.execute(sqlalchemy.select(events.run_id).where(where).distinct())]
        for run_id in run_ids:
            with storage.run_connection(run_id) as log:
                rows = _changed_rows(log, events.id, events.event, where & (events.run_id == run_id), change)
                found[run_id] = found.get(run_id, 0) + len(rows)
                for row, event in () if dry_run else rows.items():
                    log.execute(SqlEventLogStorageTable.update().where(events.id == row).values(event=event))
        if not dry_run:
            with storage.index_connection() as index:
                for row, event in _changed_rows(index, events.id, events.event, where, change).items():
                    index.execute(SqlEventLogStorageTable.update().where(events.id == row).values(event=event))
    if not dry_run:
        with storage.index_connection() as index:
            of_runs = latest.asset_key.in_(keys) & latest.last_run_id.in_(found)
            for row, event in _changed_rows(index, latest.id, latest.last_materialization, of_runs, change).items():
                index.execute(AssetKeyTable.update().where(latest.id == row).values(last_materialization=event))
    return sum(found.values())


def _changed_rows(
    connection: sqlalchemy.Connection,
    identity: sqlalchemy.Column[int],
    column: sqlalchemy.Column[str],
    where: sqlalchemy.ColumnElement[bool],
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> dict[int, str]:
    """Return the rows whose event `change` changes, by their id, with the changed event."""
    changed: dict[int, str] = {}
    for row, text in connection.execute(sqlalchemy.select(identity, column).where(where)):
        event = json.loads(text) if text else {}
        entry = event.get("event_log_entry", event)
        data = (entry.get("dagster_event") or {}).get("event_specific_data") or {}
        before = data.get("materialization", {}).get("metadata_entries") or []
        if (after := change(before)) != before:
            data["materialization"]["metadata_entries"] = after
            changed[row] = json.dumps(event)
    return changed


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


def override_log_level(level: int | None) -> None:
    """Override `python_log_level` of dagster.yaml in the runs of this process; None for the level in that file.

    The file is copied into DAGSTER_HOME once and cannot refer to a variable that may be unset. Every run sets the level of managed
    loggers from it.
    """
    global _log_level
    _log_level = level
    dg.DagsterInstance.python_log_level = property(_overridden_log_level)  # type: ignore[assignment,method-assign]


_log_level: int | None = None
_log_level_of_file: Callable[[dg.DagsterInstance], str | None] = dg.DagsterInstance.python_log_level.fget  # type: ignore


def _overridden_log_level(instance: dg.DagsterInstance) -> str | None:
    return _log_level_of_file(instance) if _log_level is None else logging.getLevelName(_log_level)


def _seconds_to_next_claim(self: InstanceConcurrencyContext) -> float:
    """Seconds until the next waiting step should check for a slot; 0 if none waits."""
    due = [at for step, at in self._pending_timeouts.items() if step in self._pending_claims]
    return max(0.0, min(due) - time.time()) if due else 0.0


def run_dev(arguments: Sequence[str], webserver: Sequence[str], daemon: Sequence[str]) -> None:
    """Run `dagster dev` in this process, with other commands in place of its web server and daemon.

    Dagster has no option for that, nor for leaving out what is so on purpose: that `dg dev`, which takes no workspace.yaml,
    supersedes it, and that it does not read the dagster.yaml of a checkout, which is copied to DAGSTER_HOME.

    Args:
        arguments: arguments of `dagster dev`.
        webserver: command that takes the arguments of `dagster-webserver`.
        daemon: command that takes the arguments of `dagster-daemon`.
    """
    from dagster._cli import dev, main

    warnings.filterwarnings("ignore", ".*`dev_command` is superseded", FutureWarning)
    _drop_messages("dagster", "Found a dagster instance configuration value")

    start = dev.open_ipc_subprocess  # pyright: ignore[reportPrivateImportUsage]

    def start_other(command: list[str], **options: Any) -> Any:
        if command[1:3] == ["-m", "dagster_webserver"]:
            command = [*webserver, *command[3:]]
        elif command[1:3] == ["-m", "dagster._daemon"]:
            command = [*daemon, *command[3:]]
        return start(command, **options)

    dev.open_ipc_subprocess = start_other  # pyright: ignore[reportPrivateImportUsage]
    sys.argv = ["dagster", "dev", *arguments]
    main()


def run_daemon(arguments: Sequence[str]) -> None:
    """Run `dagster-daemon` in this process, without the warning that a new instance has no position in its events yet."""
    from dagster._daemon.cli import main

    _drop_messages("dagster.daemon.EventLogConsumerDaemon", "No cursor for event type")
    sys.argv = ["dagster-daemon", *arguments]
    main()


def _drop_messages(logger: str, start: str) -> None:
    """Do not log the messages of a logger that start with a text."""
    logging.getLogger(logger).addFilter(lambda record: not record.getMessage().startswith(start))


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
