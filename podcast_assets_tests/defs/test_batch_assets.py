"""Runs of several batches: what is committed is materialized, whatever becomes of the rest."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.common.errors import BadInput, ClusterLost, StoreTrouble
from podcast_assets.defs.assets.batches import BatchResult, batch_asset, materialize_batches
from podcast_assets.defs.checks.tables import SPECS, Verdict
from podcast_assets.defs.partitions import BATCHES, PARTITION_RANGE_END, PARTITION_RANGE_START
from podcast_assets.defs.resources import StoreResource

NAMES = ["a", "b", "c"]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions(BATCHES, NAMES)
        yield found


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        (ClusterLost("the head is gone"), ["a", "b"]),
        (StoreTrouble(28, "the store is full"), ["a", "b"]),
        (BadInput("cut off"), NAMES),
    ],
)
def test_an_error_that_every_batch_would_have_stops_the_run_and_keeps_what_is_committed(
    instance: dg.DagsterInstance, tmp_path: Path, error: Exception, tried: list[str]
) -> None:
    seen: list[str] = []

    def work(batch: str) -> BatchResult:
        seen.append(batch)
        if batch == "b":
            raise error
        return BatchResult({"rows": 1}, {name: Verdict(True, {}) for name in SPECS["transcripts"]})

    @batch_asset(group="speech", code_version="1", kinds=())
    def transcripts(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
        return materialize_batches(context, store, work)

    result = dg.materialize(
        [transcripts.definition(None)],
        instance=instance,
        resources={"store": StoreResource(root=str(tmp_path / "store"))},
        tags={PARTITION_RANGE_START: "a", PARTITION_RANGE_END: "c"},
        raise_on_error=False,
    )
    assert not result.success
    assert seen == tried
    assert instance.get_materialized_partitions(transcripts.key) == set(tried) - {"b"}
