"""What optional assets share: a batch is done without them, and what they cannot do keeps nothing else from being done.

Dagster skips the steps after one that raises. So an optional asset that others may build on does not raise where its engine is
missing or fails: its checks, which block nothing, say what is wrong.
"""

from collections.abc import Sequence

import dagster as dg

from podcast_assets.common.errors import is_store_trouble
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BatchResult, do_stage, materialize_batches, stage_result
from podcast_assets.defs.assets.facts import preview
from podcast_assets.defs.checks.tables import SPECS, Verdict
from podcast_assets.defs.resources import StoreResource
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.stage import Episode, Stage
from podcast_assets.store.store import Store


def skip_unrequested(context: dg.AssetExecutionContext, store: StoreResource, setting: str) -> dg.MaterializeResult:
    """Skip an asset that no setting asks for, and name the setting. What an earlier run committed stays.

    Args:
        context: execution context of the asset.
        store: resource with the batches.
        setting: the environment variable to set, as it is typed.
    """
    asset = context.asset_key.to_user_string()
    return materialize_batches(
        context,
        store,
        lambda batch: not_made_result(
            context, batch, f"{asset} is optional and not asked for: set {setting} to have it made"
        ),
    )


def not_made_result(context: dg.AssetExecutionContext, batch: str, why: str) -> BatchResult:
    """The result of a batch for which the asset made nothing now: it fails its checks."""
    context.log.error(f"{batch}: {why}")
    verdicts = {name: Verdict(False, {"not_made": why}) for name in SPECS[context.asset_key.to_user_string()]}
    return BatchResult({"not_made": why}, verdicts)


def run_optional_stage(
    context: dg.AssetExecutionContext,
    settings: Settings,
    stage: Stage,
    batch: str,
    episodes: Sequence[Episode],
    store: Store,
    compute: Compute,
    *,
    columns: Sequence[str],
) -> BatchResult:
    """Run a stage whose rows are the asset's table, and commit them; where it cannot be done, say why and raise nothing.

    Args:
        context: of the asset.
        settings: of this run.
        stage: what to do.
        batch: the batch.
        episodes: all that the stage should have.
        store: the store.
        compute: the stage's workers.
        columns: of the preview.

    Raises:
        OSError: the store is full or read-only.
    """
    try:
        run = do_stage(context, settings, stage, batch, episodes, store, compute)
    except Exception as error:
        if is_store_trouble(error):
            raise
        context.log.debug(f"{batch}: {stage.name}", exc_info=True)
        return not_made_result(
            context,
            batch,
            f"{stage.asset} could not be made, and the batch is done without: {type(error).__name__}: {error}",
        )
    rows = run.table()
    committed = run.commit(store, rows)
    if run.failures.height:
        names = ", ".join(run.failures["source"].to_list()[:20])
        context.log.warning(f"{batch}: nothing in {stage.asset} for {run.failures.height} episodes: {names}")
    return stage_result(
        store,
        run,
        committed,
        expected=[e.episode_id for e in episodes],
        metadata={
            **({"engine": stage.engine.name} if stage.engine else {}),
            "segments": preview(rows, columns),
        },
        verdicts={},
    )
