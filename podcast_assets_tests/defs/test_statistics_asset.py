"""The asset `statistics`: the numbers of the command, and no part of any batch."""

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.statistics import UPDATE_STATISTICS
from podcast_assets.defs.build import build_definitions
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.statistics.queue import count_queue
from podcast_assets.stages.statistics.refresh import refresh_statistics
from podcast_assets.stages.statistics.totals import compute_statistics
from podcast_assets.store.store import Store
from podcast_assets_tests.conftest import Place


@pytest.fixture
def store(sample_copy: Place) -> Store:
    sample_copy.store.write("incoming/waiting.tar", b"x")
    return sample_copy.store


def materialize(store: Store, instance: dg.DagsterInstance) -> dict[str, object]:
    job = build_definitions(Settings(store=str(store.root))).resolve_job_def(UPDATE_STATISTICS)
    (made,) = job.execute_in_process(instance=instance).asset_materializations_for_node("statistics")
    return {name: value.value for name, value in made.metadata.items()}


def test_it_has_the_numbers_of_the_command_with_plots(store: Store) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.GraphDefinition(name="any", node_defs=[]).to_job()
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.NOT_STARTED)
        found = materialize(store, instance)
        assert materialize(store, instance)["batches_counted_now"] == 0
    rows = refresh_statistics(store).rows
    expected = compute_statistics(rows, count_queue(rows, list_incoming(store)))
    assert (found["batches_counted_now"], found["batches_waiting"]) == (1, 1)
    assert (found["runs_queued"], found["runs_active"]) == (1, 0), "its own run is not counted"
    assert (found["episodes_done"], found["hours"]) == (expected.episodes["done"], expected.hours)
    assert found["success_rate"] == expected.success_rate
    assert "transcribe" in str(found["stages"])
    assert str(found["plots"]).startswith("![episodes, hours, speed and failures](data:image/png;base64,")


def test_an_empty_store_has_statistics_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        found = materialize(Store.at(tmp_path_factory.mktemp("empty")), instance)
    assert (found["episodes_total"], found["batches_total"]) == (0, 0)


def test_no_batch_and_no_release_waits_for_it() -> None:
    definitions = build_definitions()
    node = definitions.resolve_asset_graph().get(dg.AssetKey("statistics"))
    assert not node.is_partitioned and not node.child_keys and not node.pools
    assert {n.name for n in definitions.resolve_job_def(UPDATE_STATISTICS).nodes} == {"statistics"}
    for job in ("podcast_dataset", "release_dataset"):
        assert "statistics" not in {n.name for n in definitions.resolve_job_def(job).nodes}
