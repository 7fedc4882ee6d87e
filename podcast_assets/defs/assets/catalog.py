"""Asset `catalog`, optional: what a batch's tables hold, in PostgreSQL."""

import warnings

import dagster as dg

from podcast_assets.common.errors import Misconfigured, is_store_trouble
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BATCHES_PER_RUN, BatchResult, materialize_batches
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.optional import not_made_result, skip_unrequested
from podcast_assets.defs.assets.punctuated_texts import punctuated_texts
from podcast_assets.defs.assets.second_opinions import second_opinions
from podcast_assets.defs.checks.tables import SPECS, Verdict
from podcast_assets.defs.partitions import batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.process import record_process
from podcast_assets.defs.runs.retries import retry_only_database_errors
from podcast_assets.store.store import Store

GROUP = "catalog"
_UPSTREAM = (second_opinions, punctuated_texts, hf_shards)
"""The last assets of a batch: what they depend on is made by then."""

with warnings.catch_warnings():
    # backfill policies are beta: chosen on purpose, and Dagster's version is pinned
    warnings.simplefilter("ignore", dg.BetaWarning)

    @dg.asset(
        partitions_def=batches,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=BATCHES_PER_RUN),
        owners=["team:podcast-assets"],
        group_name=GROUP,
        code_version="1",
        kinds={"postgres"},
        deps=[asset.key for asset in _UPSTREAM],
        check_specs=list(SPECS["catalog"].values()),
    )
    def catalog(
        context: dg.AssetExecutionContext, store: StoreResource, settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        """Episodes, segments, scores, flags and failures of a batch in PostgreSQL, for search, review and statistics.

        Optional: made if PODCAST_CATALOG or PODCAST_CATALOG_URL is set. A batch is replaced in one transaction, as it is in the
        store. A catalog that does not answer fails the check and nothing else; `podcast-assets catalog load` loads what is missing.
        """
        record_process(context.instance, context.run)
        with retry_only_database_errors(context.instance, context.run):
            if not settings.catalog_enabled:
                return skip_unrequested(context, store, "PODCAST_CATALOG=1")
            opened = store.get()
            return materialize_batches(context, store, lambda batch: _load(context, settings, opened, batch))


def _load(context: dg.AssetExecutionContext, settings: Settings, store: Store, batch: str) -> BatchResult:
    try:
        return _load_batch(settings, store, batch)
    except Exception as error:
        if is_store_trouble(error):
            raise
        context.log.debug(f"{batch}: catalog", exc_info=True)
        kind = "" if isinstance(error, Misconfigured) else f"{type(error).__name__}: "
        why = f"the batch is not in the catalog, and finished without it: {kind}{redact_text(str(error))}"
        return not_made_result(context, batch, why)


def _load_batch(settings: Settings, store: Store, batch: str) -> BatchResult:
    from podcast_assets.catalog.connection import describe
    from podcast_assets.catalog.loading.load import load_batch
    from podcast_assets.catalog.opening import open_catalog

    with open_catalog(settings, leave=False) as engine:  # the run's next batch needs it again
        loaded = load_batch(engine, store, batch, words=settings.catalog_words)
    return BatchResult(
        {
            "dagster/partition_row_count": loaded.rows.get("segments", 0),
            "place": describe(settings),
            "seconds": round(loaded.seconds, 2),
            "rows_changed": loaded.changed,
            "episodes_taken_down": loaded.taken_down,
            **{f"rows_{name}": number for name, number in loaded.rows.items()},
        },
        {"batch_loaded": Verdict(not loaded.passed_over, {"rows_left_out": sum(loaded.passed_over.values())})},
    )
