"""Execution of optional assets, whose failure does not prevent other assets from being made.

Dagster skips all steps downstream of one that raises an error. An optional asset therefore does not raise if its engine is missing
or fails. Its checks, which do not block, report the error.
"""

from collections.abc import Sequence

import dagster as dg

from podcast_assets.common.errors import is_store_trouble
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BatchResult, do_stage, materialize_batches, stage_result
from podcast_assets.defs.assets.facts import preview
from podcast_assets.defs.checks.tables import SPECS, Verdict
from podcast_assets.defs.resources import StoreResource
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.stage import Episode, Stage
from podcast_assets.store.store import Store


def skip_unrequested(context: dg.AssetExecutionContext, store: StoreResource, setting: str) -> dg.MaterializeResult:
    """Skip an asset that the settings do not enable, and name the setting. A table of an earlier run stays.

    Args:
        context: execution context of the asset.
        store: resource with the batches.
        setting: the environment variable to set, with its value if one is needed.
    """
    asset = context.asset_key.to_user_string()
    return materialize_batches(
        context,
        store,
        lambda batch: not_made_result(
            context, batch, f"{asset} is optional and not enabled: set {setting} to enable it"
        ),
    )


def not_made_result(context: dg.AssetExecutionContext, batch: str, why: str) -> BatchResult:
    """Make the result of a batch for which the asset made nothing: all checks fail with the reason."""
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
    """Run a stage and commit its rows as the asset's table; if it fails, report that in the checks without raising an error.

    Args:
        context: execution context of the asset.
        settings: settings of this run.
        stage: the stage.
        batch: the batch.
        episodes: all episodes of the stage.
        store: the store.
        compute: workers of the stage.
        columns: columns of the preview.

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
            f"{stage.asset} failed, and the batch is finished without it: {type(error).__name__}: {redact_text(str(error))}",
        )
    rows = run.table()
    committed = run.commit(store, rows)
    if run.failures.height:
        names = ", ".join(run.failures["source"].to_list()[:20])
        context.log.warning(
            f"{batch}: {stage.asset} failed for {run.failures.height} episodes, which have no rows: {names}"
        )
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
