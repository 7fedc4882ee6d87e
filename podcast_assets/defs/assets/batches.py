"""Definition and execution of assets that are partitioned by batch. Each batch of a run is committed on its own."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets.common.errors import BadInput, ClusterLost, EngineUnavailable, Misconfigured, StoreTrouble
from podcast_assets.common.log_lines import log_context
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.facts import column_schema, run_facts, table_facts
from podcast_assets.defs.checks.tables import SPECS, Verdict, all_accounted, no_failures
from podcast_assets.defs.partitions import batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.runs.progress import report_progress
from podcast_assets.defs.runs.retries import disable_retry, retry_only_database_errors
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.discarded import expected_episodes, without_discarded
from podcast_assets.stages.requirements import StageWithEngine
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode, Stage
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.stage_names import OPTIONAL_STAGES, TABLE_STAGES
from podcast_assets.store.store import Store

OPTIONAL = "podcast/optional"
"""Tag of optional assets, which a complete batch need not have; its value is the asset's name."""

BATCHES_PER_RUN = 10
"""Maximum number of batches in a run of a backfill, which share the start of the run and the loading of models."""


def batch_asset(
    *,
    group: str,
    code_version: str,
    kinds: Collection[str],
    deps: Sequence["BatchAsset"] = (),
    stages: Sequence[type[StageWithEngine]] = (),
) -> Callable[[Callable[..., dg.MaterializeResult[Any]]], "BatchAsset"]:
    """Define an asset partitioned by batch, with the checks and the columns declared for its name.

    Args:
        group: group name of the asset.
        code_version: version of the code; changes if the results change.
        kinds: technologies, shown in the UI.
        deps: upstream assets.
        stages: the stages of the asset that can have an engine.
    """

    def decorate(function: Callable[..., dg.MaterializeResult[Any]]) -> "BatchAsset":
        name = function.__name__

        @functools.wraps(function)
        def materialize(context: dg.AssetExecutionContext, *args: Any, **resources: Any) -> dg.MaterializeResult[Any]:
            record_process(context.instance, context.run)
            with retry_only_database_errors(context.instance, context.run):
                result = function(context, *args, **resources)
            if any(not r.passed and SPECS[name][r.check_name or ""].blocking for r in result.check_results or ()):
                disable_retry(context.instance, context.run.run_id)
            return result

        def define(pool: str | None) -> dg.AssetsDefinition:
            with warnings.catch_warnings():
                # backfill policies are beta: chosen on purpose, and Dagster's version is pinned
                warnings.simplefilter("ignore", dg.BetaWarning)
                return dg.asset(
                    partitions_def=batches,
                    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=BATCHES_PER_RUN),
                    owners=["team:podcast-assets"],
                    group_name=group,
                    code_version=code_version,
                    kinds=set(kinds),
                    deps=[asset.key for asset in deps],
                    pool=pool,
                    check_specs=list(SPECS[name].values()),
                    metadata=column_schema(name),
                    tags={"podcast/stage": TABLE_STAGES[name]} | ({OPTIONAL: name} if name in OPTIONAL_STAGES else {}),
                )(materialize)

        return BatchAsset(dg.AssetKey(name), stages, define)

    return decorate


@dataclass(frozen=True)
class BatchAsset:
    """An asset partitioned by batch whose pool is not chosen yet, because it depends on the engines of the settings."""

    key: dg.AssetKey
    stages: Sequence[type[StageWithEngine]]
    """Stages of the asset that can have an engine."""
    definition: Callable[[str | None], dg.AssetsDefinition]
    """Makes the Dagster asset for the name of a pool; None for no pool."""


@dataclass(frozen=True)
class BatchResult:
    """Metadata and check results of an asset for one batch."""

    metadata: Mapping[str, Any]
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def materialize_batches(
    context: dg.AssetExecutionContext, store: StoreResource, work: Callable[[str], BatchResult]
) -> dg.MaterializeResult[Any]:
    """Materialize the batches of a run one after the other, each committed on its own.

    A batch that fails does not prevent the others from being committed. The run then fails, and names it. Errors that every batch
    would have (a broken device, a missing engine, a lost cluster, a full store) stop the run at once. In each case, the
    committed batches are materialized.

    Args:
        context: execution context of the asset.
        store: resource with the batches.
        work: makes the asset for one batch.

    Raises:
        Failure: some of several batches failed; it names them.
    """
    asset = context.asset_key.to_user_string()
    with contextlib.ExitStack() as locks:
        # all locks in the same order, and before a device is in use, so that two runs cannot deadlock
        for batch in sorted(context.partition_keys):
            locks.enter_context(store.get().batch_lock(batch))
        results: dict[str, BatchResult] = {}
        try:
            troubles = _run_each(context, asset, work, results)
        except BaseException:  # an interruption of the run too
            _log_materializations(context, results)
            raise
    if troubles:
        _log_materializations(context, results)
        names = "; ".join(f"{batch}: {error}" for batch, error in troubles.items())
        raise dg.Failure(
            f"{asset}: {len(troubles)} of {len(context.partition_keys)} batches failed, the others are committed. {names}"
        )
    for batch, result in results.items():
        context.add_asset_metadata(dict(result.metadata), partition_key=batch)
    return dg.MaterializeResult(
        check_results=[
            _combine_verdicts(name, {b: r.verdicts[name] for b, r in results.items()}, asset) for name in SPECS[asset]
        ]
    )


def _run_each(
    context: dg.AssetExecutionContext,
    asset: str,
    work: Callable[[str], BatchResult],
    results: dict[str, BatchResult],
) -> dict[str, Exception]:
    """Run the work on each batch, add its result to `results`, and return the errors that concern a single batch."""
    troubles: dict[str, Exception] = {}
    for batch in context.partition_keys:
        try:
            with log_context(batch=batch, stage=TABLE_STAGES.get(asset, asset)):
                results[batch] = work(batch)
        except (BrokenDevice, ClusterLost, EngineUnavailable, Misconfigured, StoreTrouble):
            raise
        except Exception as error:
            if len(context.partition_keys) == 1:
                raise
            context.log.exception(f"{batch}: {asset} failed")
            troubles[batch] = error
    return troubles


def _log_materializations(context: dg.AssetExecutionContext, results: Mapping[str, BatchResult]) -> None:
    """Record the committed batches of a step that fails; Dagster does so only for a step that succeeds."""
    for batch, result in results.items():
        context.log_event(dg.AssetMaterialization(context.asset_key, partition=batch, metadata=dict(result.metadata)))


def _combine_verdicts(name: str, verdicts: Mapping[str, Verdict], asset: str) -> dg.AssetCheckResult:
    """Combine the verdicts of a check for all batches of a run, with the facts of the only batch or of those that fail."""
    shown = verdicts if len(verdicts) == 1 else {b: v for b, v in verdicts.items() if not v.passed}
    facts: dict[str, Any] = {"batches": list(verdicts)}
    for batch, verdict in shown.items():
        facts |= {k if len(verdicts) == 1 else f"{batch}: {k}": v for k, v in verdict.facts.items()}
    blocking = SPECS[asset][name].blocking
    return dg.AssetCheckResult(
        passed=all(v.passed for v in verdicts.values()),
        check_name=name,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        metadata=facts,
    )


def upstream(store: Store, asset: str, batch: str) -> CommittedTable:
    """Read the committed table of an upstream asset.

    Raises:
        BadInput: the table does not exist, was made by an incompatible version of this project, or is damaged.
    """
    committed = CommittedTable.read(store, asset, batch)
    if committed.damage:
        raise BadInput(f"batch {batch}: {committed.damage}; materialize {asset} again")
    if committed.table is None:
        raise BadInput(f"batch {batch}: {asset} is not materialized (by this version); materialize it first")
    return committed


def upstream_audio(store: Store, batch: str) -> pl.DataFrame:
    """Read the rows of `raw_audio` without discarded episodes, for the assets that seal shards: `do_stage` need not know them.

    Raises:
        BadInput: as `upstream`, or a discard record is invalid.
    """
    discarded = read_batch_discards(store, batch)
    return upstream(store, "raw_audio", batch).rows.filter(~pl.col("episode_id").is_in(list(discarded)))


def check_accounted(committed: CommittedTable, expected: Iterable[str]) -> Verdict:
    """Check that a committed table accounts for every expected episode."""
    stray = set(committed.rows["episode_id"]).difference(committed.fingerprints)
    return all_accounted(list(expected), [*committed.fingerprints, *sorted(stray)], list(committed.failed))


def stage_result(
    store: Store,
    run: StageRun,
    committed: CommittedTable,
    *,
    expected: Iterable[str],
    metadata: Mapping[str, Any],
    verdicts: Mapping[str, Verdict],
) -> BatchResult:
    """Make the result of a batch whose rows come from a stage, with the metadata and checks that all such assets share.

    Args:
        store: store with the table.
        run: run of the stage.
        committed: the committed table.
        expected: ids of the episodes that should be done or failed, unless they are discarded.
        metadata: further metadata.
        verdicts: verdicts of further checks by name.
    """
    wanted = expected_episodes(expected, committed, run.discarded)
    return BatchResult(
        metadata={**table_facts(store, run.stage.asset, run.batch, committed.rows), **run_facts(run), **metadata},
        verdicts={
            "episodes_accounted": check_accounted(committed, wanted),
            "no_failures": no_failures(run.failures),
            **verdicts,
        },
    )


def do_stage(
    context: dg.AssetExecutionContext,
    settings: Settings,
    stage: Stage,
    batch: str,
    episodes: Sequence[Episode],
    store: Store,
    compute: Compute,
    committed: CommittedTable | None = None,
    discarded: Mapping[str, str] | None = None,
) -> StageRun:
    """Run a stage with these settings, and log its progress in Dagster. Discarded episodes that are not done are left out.

    Args:
        context: execution context of the asset.
        settings: settings of the run.
        stage: the stage.
        batch: the batch.
        episodes: all episodes of the stage.
        store: the store.
        compute: workers of the stage.
        committed: table of the last run; read from the store if missing.
        discarded: discarded episodes of the batch, with the reason; read from the store if missing.
    """
    discarded = read_batch_discards(store, batch) if discarded is None else discarded
    if discarded:
        committed = CommittedTable.read(store, stage.asset, batch) if committed is None else committed
        episodes = without_discarded(stage, episodes, committed, discarded)
    run = run_stage(
        stage,
        batch,
        episodes,
        store,
        compute,
        committed=committed,
        report=report_progress(context),
        retry_permanent=settings.retry_permanent,
        retry_fallbacks=settings.retry_fallbacks,
    )
    run.discarded = discarded
    return run
