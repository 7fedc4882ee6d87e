"""Asset `review_decisions`: what people decided, as data in the store. No batch waits for it or fails with it."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.catalog import catalog
from podcast_assets.defs.checks.tables import REVIEW_SPECS
from podcast_assets.defs.dagster_internals import AssetJob
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.history import remove_texts
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.runs.retries import retry_only_database_errors
from podcast_assets.defs.runs.tags import MAX_RUNTIME, run_tags
from podcast_assets.store.store import Store

if TYPE_CHECKING:
    from sqlalchemy import Engine

PUBLISH_REVIEWS = "publish_reviews"
"""Name of the job that materializes the asset."""
GROUP = "review"


@dg.asset(
    deps=[catalog.key],
    group_name=GROUP,
    kinds={"postgres", "parquet"},
    owners=["team:podcast-assets"],
    code_version="1",
    check_specs=list(REVIEW_SPECS.values()),
)
def review_decisions(
    context: dg.AssetExecutionContext, store: StoreResource, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    """Decisions of reviewers in the store, by batch: all of them, what holds of each segment, and transcripts with it.

    Takedowns that were asked for are carried out first. Releases and the catalog use what is written; the tables of the stages and
    sealed shards stay as they are. Only batches with new decisions are written.
    """
    from podcast_assets.catalog.connection import is_in_use
    from podcast_assets.catalog.opening import open_catalog

    record_process(context.instance, context.run)
    with retry_only_database_errors(context.instance, context.run):
        if not is_in_use(settings):
            return _result({"note": "there is no catalog, so nobody reviews (docs/guides/review-data.md)"})
        with open_catalog(settings, leave=False) as engine:
            return _publish(context, engine, store.get(), settings)


def _publish(
    context: dg.AssetExecutionContext, engine: "Engine", store: Store, settings: Settings
) -> dg.MaterializeResult:
    from podcast_assets.catalog.kept import forget_texts
    from podcast_assets.catalog.loading.load import load_batch, remove_taken_down
    from podcast_assets.review.publish import publish_reviews
    from podcast_assets.review.report import publish_report
    from podcast_assets.review.takedown_requests import execute_takedowns
    from podcast_assets.store.review_tables import FOLDER

    takedowns = execute_takedowns(engine, store, shard_bytes=settings.shard_bytes, report=context.log.info)
    for taken in takedowns.done:
        places = taken.record["episodes"]
        remove_taken_down(engine, store, places, words=settings.catalog_words)
        forget_texts(store, places)
        remove_texts(context.instance, taken.batches)
    done = publish_reviews(engine, store, report=lambda batch: context.log.info(f"{batch}: published its reviews"))
    for batch in done.changed:
        load_batch(engine, store, batch, words=settings.catalog_words)
    failed = {**done.failed, **takedowns.failed}
    return _result(
        {
            "dagster/uri": str(store.path(FOLDER)),
            "dagster/row_count": done.decisions,
            "batches": len(done.batches),
            "batches_unchanged": done.unchanged,
            "segments": done.segments,
            "transcripts": done.transcripts,
            "takedowns": len(takedowns.done),
            "report_changed": publish_report(engine, store, settings.review_second_look),
            **({"decisions_without_batch": done.without_place} if done.without_place else {}),
        },
        failed,
    )


def _result(metadata: dict[str, Any], failed: dict[str, str] | None = None) -> dg.MaterializeResult:
    verdict = dg.AssetCheckResult(
        passed=not failed, check_name="all_published", severity=dg.AssetCheckSeverity.WARN, metadata=dict(failed or {})
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[verdict])


def publish_reviews_job(settings: Settings) -> AssetJob:
    """Define the job that materializes the asset `review_decisions`."""
    return dg.define_asset_job(
        PUBLISH_REVIEWS,
        selection=dg.AssetSelection.groups(GROUP),
        executor_def=dg.in_process_executor,
        tags={MAX_RUNTIME: run_tags("review", settings)[MAX_RUNTIME]},
        description="Writes what reviewers decided to the store, and carries out the takedowns that they asked for.",
    )
