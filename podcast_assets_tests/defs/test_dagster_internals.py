"""What the project uses of Dagster beyond its public interface still does what it is used for: look here first after an upgrade."""

import os
import re
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution import compute_logs

import podcast_assets
from podcast_assets.defs import dagster_internals
from podcast_assets.defs.dagster_internals import (
    AssetJob,
    ErrorInfo,
    QueueLimits,
    RunHealth,
    RunWorkerStatus,
    add_asset_backfill,
    cancel_backfill,
    coordinated_instance,
    free_pool_slots,
    instance_of,
    most_concurrent_runs,
    read_note,
    set_pool_limit,
    sleep_while_waiting_for_a_pool,
    write_note,
)

BATCHES = dg.DynamicPartitionsDefinition(name="some_batches")


@dg.asset(partitions_def=BATCHES, backfill_policy=dg.BackfillPolicy.multi_run(5))
def by_batch() -> None: ...


@dg.asset
def whole() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def test_it_is_the_version_that_the_module_speaks_of() -> None:
    assert f"for Dagster {version('dagster')}" in (dagster_internals.__doc__ or "")


def test_nothing_else_imports_internal_modules() -> None:
    inside = re.compile(r"^\s*(?:from|import) +(?:dagster\w*\.(?:\w+\.)*_|dagster_shared)", re.MULTILINE)
    modules = Path(podcast_assets.__file__).parent.rglob("*.py")
    found = {path.name for path in modules if inside.search(path.read_text())}
    assert found == {"dagster_internals.py"}


def test_the_types_are_those_of_what_dagster_gives(instance: dg.DagsterInstance) -> None:
    assert isinstance(dg.define_asset_job("a_job"), AssetJob)

    @dg.op
    def fails() -> None:
        raise ValueError("no audio")

    @dg.job
    def job() -> None:
        fails()

    [event] = job.execute_in_process(instance=instance, raise_on_error=False).get_step_failure_events()
    error = event.step_failure_data.error
    assert isinstance(error, ErrorInfo)
    assert error.cause is not None
    assert (error.cause.cls_name, error.cause.message) == ("ValueError", "ValueError: no audio\n")


def test_a_run_launcher_knows_its_instance(instance: dg.DagsterInstance) -> None:
    launcher = dg.DefaultRunLauncher()
    launcher.register_instance(instance)
    assert instance_of(launcher) is instance
    assert RunHealth(RunWorkerStatus.NOT_FOUND, "gone") != RunHealth(RunWorkerStatus.RUNNING)


def test_notes_and_the_limits_of_a_queue(instance: dg.DagsterInstance) -> None:
    coordinator = dg.QueuedRunCoordinator(max_concurrent_runs=3)
    coordinator.register_instance(instance)
    assert coordinated_instance(coordinator) is instance
    assert isinstance(coordinator.get_run_queue_config(), QueueLimits)
    assert most_concurrent_runs(instance) in (None, 10), "of the instance's own coordinator"
    assert read_note(instance, "a key") is None
    write_note(instance, "a key", "one")
    write_note(instance, "a key", "two")
    assert read_note(instance, "a key") == "two"


def test_slots_of_pools(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    set_pool_limit(instance, "gpu", 1)
    assert storage.claim_concurrency_slot("gpu", "one run", "a step").is_claimed
    assert not storage.claim_concurrency_slot("gpu", "another run", "a step").is_claimed
    free_pool_slots(instance, "one run")
    assert storage.claim_concurrency_slot("gpu", "another run", "a step").is_claimed


def test_backfills(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("some_batches", ["b1", "b2", "b3"])
    definitions = dg.Definitions([by_batch, whole])
    selection = dg.AssetSelection.assets(by_batch)
    identity = add_asset_backfill(instance, definitions, selection, ["b1", "b3"], tags={"a": "tag"}, title="2 batches")
    backfill = instance.get_backfill(identity)
    assert backfill is not None
    assert backfill.asset_backfill_data is not None
    keys = {
        (k.asset_key.to_user_string(), k.partition_key)
        for k in backfill.asset_backfill_data.target_subset.iterate_asset_partitions()
    }
    assert keys == {("by_batch", "b1"), ("by_batch", "b3")}
    assert (backfill.title, backfill.tags["a"]) == ("2 batches", "tag")
    assert cancel_backfill(instance, identity) == "requested"
    assert cancel_backfill(instance, identity) == "canceling"
    assert cancel_backfill(instance, "nope") is None


def test_a_run_that_waits_for_a_pool_is_told_how_long_it_may_sleep(instance: dg.DagsterInstance) -> None:
    """What comes of it, in a run: test_run_retries.py."""
    from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

    sleep_while_waiting_for_a_pool()
    set_pool_limit(instance, "gpu", 1)
    assert instance.event_log_storage.claim_concurrency_slot("gpu", "another run", "a step").is_claimed
    run = instance.get_run_by_id(dg.materialize([whole], instance=instance).run_id)
    assert run is not None
    with InstanceConcurrencyContext(instance, run) as context:
        assert context.interval_to_next_pending_claim_check() == 0
        assert not context.claim("gpu", "a step")
        before = time.time()
        seconds = context.interval_to_next_pending_claim_check()
        assert seconds > 0
        assert before + seconds <= context._pending_timeouts["a step"] <= time.time() + seconds


def test_processes_that_mirror_output_are_in_process_groups_of_their_own(tmp_path: Path) -> None:
    """Ctrl+C in a terminal reaches the group of the command, and these write tracebacks then."""
    dagster_internals.keep_ctrl_c_from_log_mirrors()
    log = str(tmp_path / "log")
    with (tmp_path / "out").open("w") as stream, compute_logs.mirror_stream_to_file(stream, log) as (tail, watcher):
        for pid in (tail, watcher):
            assert pid is not None
            assert os.getpgid(pid) == pid
