"""Start jobs, in this process or as a backfill that Dagster's daemon runs."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from podcast_assets.common.errors import BadInput
from podcast_assets.common.wording import count_noun
from podcast_assets.config.settings import Settings
from podcast_assets.defs import dagster_internals
from podcast_assets.defs.assets.batches import BATCHES_PER_RUN
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.jobs import JOB, batch_selection
from podcast_assets.defs.notifications import RunNotifier, describe_step_error
from podcast_assets.defs.partitions import PARTITION_RANGE_END, PARTITION_RANGE_START, add_batches
from podcast_assets.defs.releases import RELEASE
from podcast_assets.defs.runs.errors import is_interruption, summarize_error
from podcast_assets.defs.runs.process import command_tags
from podcast_assets.defs.runs.tags import Source, run_tags
from podcast_assets.store.stage_names import TABLE_STAGES

CODE_LOCATION = "podcast_assets"
"""Name of the code location in every `workspace.yaml` of this project."""


@dataclass(frozen=True)
class RunResult:
    """Result of a run."""

    run_id: str
    succeeded: bool
    seconds: dict[str, float]
    """Stage → its duration in this run; stages that did not run are missing."""
    error: str | None
    """Reason of a failure, in one line."""


def run_in_process(
    instance: dg.DagsterInstance,
    settings: Settings,
    batches: Sequence[str],
    *,
    source: Source,
    logger: Literal["terminal", "status_line"] = "terminal",
) -> RunResult:
    """Run the job on a batch or a range of batches in this process.

    Args:
        instance: instance that records the run and its materializations.
        settings: settings of this run.
        batches: one batch, or several that are contiguous in the order of partitions.
        source: what starts the run.
        logger: logger of the run (`podcast_assets.defs.loggers`).

    Raises:
        KeyboardInterrupt: the run was interrupted by a signal. Dagster has recorded it as failed.
    """
    add_batches(instance, batches)
    single = batches[0] if len(batches) == 1 else None
    span = {} if single else {PARTITION_RANGE_START: batches[0], PARTITION_RANGE_END: batches[-1]}
    result = _execute(
        instance,
        settings,
        JOB,
        batches,
        source,
        span,
        partition_key=single,
        run_config={"loggers": {logger: {}}},
    )
    seconds = {
        TABLE_STAGES[e.step_key]: round(e.step_success_data.duration_ms / 1000, 3)
        for e in result.filter_events(lambda e: e.is_step_success)
        if e.step_key in TABLE_STAGES
    }
    return RunResult(result.run_id, result.success, seconds, None if result.success else _describe_failure(result))


def release_in_process(
    instance: dg.DagsterInstance, settings: Settings, drop: tuple[str, ...]
) -> tuple[dict[str, Any] | None, str]:
    """Run the job `release_dataset` in this process. A failed check with severity ERROR is a failure.

    Args:
        instance: instance that records the run.
        settings: settings of this run.
        drop: batches to remove from the dataset although this store does not have them.

    Returns:
        The `release` metadata of the materialization and an empty text; or None and the reason of the failure.

    Raises:
        KeyboardInterrupt: the run was interrupted by a signal.
    """
    result = _execute(
        instance,
        settings,
        RELEASE,
        [],
        "command",
        {},
        run_config={"loggers": {"terminal": {}}, "ops": {"hf_dataset": {"config": {"drop": list(drop)}}}},
    )
    for event in result.filter_events(lambda e: e.is_step_failure):
        return None, summarize_error(event.step_failure_data.error)
    if failed := _describe_failed_checks(result):
        return None, failed
    found = result.asset_materializations_for_node("hf_dataset")
    return dict(found[0].metadata["release"].value), ""  # type: ignore[arg-type]


def _execute(
    instance: dg.DagsterInstance,
    settings: Settings,
    job: str,
    batches: Sequence[str],
    source: Source,
    tags: Mapping[str, str],
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Execute a job in this process, and notify the webhook of its start and its end.

    Raises:
        KeyboardInterrupt: the run was interrupted by a signal.
    """
    dagster_internals.keep_ctrl_c_from_log_mirrors()
    run_id = str(uuid.uuid4())
    run = dg.DagsterRun(job, run_id, tags={**run_tags(source, settings), **command_tags(run_id), **tags})
    notifier = RunNotifier(instance, settings, run, batches)
    notifier.started()
    result = dagster_internals.execute_in_location(
        build_definitions(settings).resolve_job_def(job),
        instance,
        CODE_LOCATION,
        run_id=run_id,
        tags={**run.tags, **notifier.tags},
        raise_on_error=False,
        **options,
    )
    notifier.ended(*_describe_end(result), interrupted=_is_interrupted(result))
    if _is_interrupted(result):
        raise KeyboardInterrupt
    return result


def _describe_end(result: dg.ExecuteInProcessResult) -> tuple[str | None, list[str]]:
    """Describe why a run failed, with the lines of the traceback; None if it succeeded."""
    if result.success:
        return None, []
    for event in result.filter_events(lambda e: e.is_step_failure):
        return describe_step_error(str(event.step_key), event.step_failure_data.error)
    return _describe_failure(result), []


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    errors = (getattr(event.event_specific_data, "error", None) for event in result.all_events)
    return not result.success and any(map(is_interruption, errors))


def _describe_failure(result: dg.ExecuteInProcessResult) -> str:
    """Describe the first failed step, or the failed checks."""
    for event in result.filter_events(lambda e: e.is_step_failure):
        return f"{event.step_key}: {summarize_error(event.step_failure_data.error)}"
    return _describe_failed_checks(result) or "the run failed"


def _describe_failed_checks(result: dg.ExecuteInProcessResult) -> str:
    """Describe the failed checks with severity ERROR; empty if there are none. Those that do not block fail no step or run."""
    evaluations = [
        e.asset_check_evaluation_data
        for e in result.filter_events(lambda e: e.event_type_value == "ASSET_CHECK_EVALUATION")
    ]
    return "; ".join(
        f"check {c.check_name} of {c.asset_key.to_user_string()} failed"
        for c in evaluations
        if not c.passed and c.severity == dg.AssetCheckSeverity.ERROR
    )


def split_into_ranges(batches: Sequence[str], order: Sequence[str]) -> Iterator[list[str]]:
    """Split batches into runs of at most BATCHES_PER_RUN, each a range of partitions.

    Args:
        batches: the batches to run.
        order: all partitions in order.
    """
    requested, chunk = set(batches), list[str]()
    for batch in order:
        if batch in requested and len(chunk) < BATCHES_PER_RUN:
            chunk.append(batch)
            continue
        if chunk:
            yield chunk
        chunk = [batch] if batch in requested else []
    if chunk:
        yield chunk


def request_backfill(instance: dg.DagsterInstance, settings: Settings, batches: Sequence[str]) -> str:
    """Request a backfill over batches from the daemon, with the assets' backfill policy, and return its id."""
    add_batches(instance, batches)
    return dagster_internals.add_asset_backfill(
        instance,
        build_definitions(settings),
        batch_selection(settings),
        batches,
        tags=run_tags("backfill", settings),
        title=count_noun(len(batches), "batch"),
    )


def cancel_backfill(instance: dg.DagsterInstance, backfill_id: str) -> None:
    """Ask the daemon to cancel a backfill: it removes queued runs and interrupts running ones.

    Commits and checkpoints stay, so starting the batches again resumes them.

    Raises:
        BadInput: there is no such backfill, or it has ended.
    """
    status = dagster_internals.cancel_backfill(instance, backfill_id)
    if status is None:
        raise BadInput(f"there is no backfill {backfill_id}")
    if status != "requested":
        raise BadInput(f"backfill {backfill_id} cannot be canceled: it is already {status}")
