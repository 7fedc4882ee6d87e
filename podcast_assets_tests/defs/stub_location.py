"""The project's assets by name, partitions, pool, policy and job, with nothing to compute: to see how they are queued.

A GPU step takes `STUB_SECONDS`, or nothing where the batch is called `many…`; a batch called `bad…` fails, one called `stuck…`
does not end, and one called `many-held…` waits for the store's file `let_go`.
"""

import os
import time
from collections.abc import Sequence

import dagster as dg

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import BatchAsset, batch_asset
from podcast_assets.defs.checks.tables import SPECS
from podcast_assets.defs.dagster_internals import sleep_while_waiting_for_a_pool
from podcast_assets.defs.jobs import podcast_dataset
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.defs.sensors.run_alerts import tell_of_failure, tell_of_start, tell_of_success
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, empty_table, make_table
from podcast_assets.store.stage_names import STAGES
from podcast_assets_tests.committed import failure

_GROUPS = {
    "raw_audio": "intake",
    "diarized_segments": "speech",
    "transcripts": "speech",
    "quality_scores": "quality",
    "hf_shards": "dataset",
}
_GPU = {"diarized_segments", "transcripts"}


def stub(name: str, deps: Sequence[BatchAsset] = ()) -> BatchAsset:
    def work(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        for batch in context.partition_keys:
            if batch.startswith("bad"):
                raise RuntimeError(f"batch {batch}: it is bad\nand more of it")
            if batch.startswith("stuck") and name in _GPU:
                time.sleep(3600)
            while batch.startswith("many-held") and not store.get().exists("let_go"):
                time.sleep(0.1)
            time.sleep(float(os.environ["STUB_SECONDS"]) if name in _GPU and not batch.startswith("many") else 0)
            failed = [failure("transcribe")] if batch.startswith("failed") and name == "transcripts" else []
            commit(
                store.get(),
                name,
                batch,
                empty_table(ASSETS[name]),
                empty_table(PROVENANCE),
                make_table(failed, FAILURES),
            )
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True, check_name=c) for c in SPECS[name]])

    work.__name__ = name
    return batch_asset(group=_GROUPS[name], code_version="1", kinds=(), deps=deps)(work)


def defined(asset: BatchAsset) -> dg.AssetsDefinition:
    return asset.definition("gpu" if asset.key.to_user_string() in _GPU else None)


def build() -> dg.Definitions:
    settings = Settings()
    sleep_while_waiting_for_a_pool()
    assets: list[BatchAsset] = []
    for name in STAGES:
        assets.append(stub(name, assets[-1:]))
    return dg.Definitions(
        assets=[defined(a) for a in assets],
        jobs=[podcast_dataset(settings)],
        sensors=[new_batches, tell_of_start, tell_of_failure, tell_of_success],
        resources={"settings": settings, "store": StoreResource(root=settings.store)},
        executor=dg.in_process_executor,
    )


defs = build()
