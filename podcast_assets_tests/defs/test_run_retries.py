"""Which failed runs are tried again: what Dagster's own database did to a run, and not what its assets did."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy.engine
import sqlalchemy.event
import sqlalchemy.exc
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.active import ActiveExecution
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import filter_runs_to_should_retry
from dagster._daemon.monitoring.run_monitoring import check_run_timeout

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import batch_asset
from podcast_assets.defs.checks.tables import SPECS
from podcast_assets.defs.dagster_internals import sleep_while_waiting_for_a_pool
from podcast_assets.defs.instance import POSTGRES, prepare_home
from podcast_assets.defs.partitions import batches
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.runs.retries import RETRIED
from podcast_assets_tests.defs.stub_location import defined, stub
from podcast_assets_tests.servers.postgres import Postgres, postgres

BATCH = "m1"
"""To the stub assets: nothing to compute."""


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


def last_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    [run] = instance.get_runs(limit=1)
    return run


def will_retry(instance: dg.DagsterInstance) -> bool:
    run = last_run(instance)
    assert run.status == dg.DagsterRunStatus.FAILURE
    return run.tags["dagster/will_retry"] == "true"


def materialize(
    instance: dg.DagsterInstance, asset: dg.AssetsDefinition, root: Path, tags: dict[str, str] | None = None
) -> bool:
    instance.add_dynamic_partitions(batches.name or "", [BATCH])
    return dg.materialize(
        [asset],
        instance=instance,
        partition_key=BATCH,
        resources={"store": StoreResource(root=str(root))},
        raise_on_error=False,
        tags=tags,
    ).success


def raw_audio_that(error: Exception | None = None, failing: str = "") -> dg.AssetsDefinition:
    def raw_audio(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        if error:
            raise error
        return dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(passed=c != failing, check_name=c) for c in SPECS["raw_audio"]]
        )

    return batch_asset(group="intake", code_version="1", kinds=())(raw_audio).definition(None)


def test_what_an_asset_raises_is_not_tried_again(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert not materialize(instance, raw_audio_that(ValueError("no audio")), tmp_path)
    assert not will_retry(instance)


def test_a_blocking_check_that_fails_would_fail_again(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert not materialize(instance, raw_audio_that(failing="episodes_accounted"), tmp_path)
    assert not will_retry(instance)


def test_a_check_that_only_warns_fails_nothing(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert materialize(instance, raw_audio_that(failing="durations_agree"), tmp_path)
    assert RETRIED not in last_run(instance).tags


def test_the_database_may_raise_in_an_asset_too(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Even in a run that repeats one whose asset had raised, and has its tags."""
    cut = sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))
    assert not materialize(instance, raw_audio_that(cut), tmp_path, tags={RETRIED: "false"})
    assert will_retry(instance)


def started_long_ago(instance: dg.DagsterInstance) -> str:
    """A run that began before its limit, dagster/max_runtime; returns its id."""

    @dg.job
    def some_job() -> None: ...

    run = instance.create_run_for_job(some_job, tags={"dagster/max_runtime": "3600"})
    for kind in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START):
        event = DagsterEvent(kind.value, job_name=run.job_name)
        instance.report_dagster_event(event, run.run_id, timestamp=time.time() - 7200)
    return run.run_id


@pytest.mark.parametrize("says_so", [False, True])
def test_a_run_over_its_time_is_ended_and_tried_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, says_so: bool
) -> None:
    """By Dagster's own monitoring and retries; also where the run's process reports its interruption after the daemon has."""
    run_id = started_long_ago(instance)
    monkeypatch.setattr(instance.run_launcher, "terminate", lambda run_id: True)
    record = instance.get_run_record_by_id(run_id)
    assert record is not None
    check_run_timeout(instance, record, logging.getLogger(__name__), instance.run_monitoring_max_runtime_seconds)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    if says_so:
        instance.report_run_canceled(run)
    failures = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    assert any("Exceeded maximum runtime of 3600 seconds" in f.event_log_entry.message for f in failures)
    (again,) = filter_runs_to_should_retry([instance.get_run_by_id(run_id) or run], instance)
    assert again.run_id == run_id


def test_an_interruption_is_no_error_of_an_asset(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Otherwise a run that is ended because it hangs would be tagged as one that would fail again."""
    interrupted = raw_audio_that(DagsterExecutionInterruptedError())  # type: ignore[arg-type]
    assert not materialize(instance, interrupted, tmp_path)
    assert RETRIED not in last_run(instance).tags


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    pytest.importorskip("dagster_postgres", reason="needs the extra postgres")
    with postgres() as found:
        yield found


def test_a_step_whose_connection_is_cut_in_a_statement_is_tried_again(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in one statement after the other of a step: some runs outlive it, and no other is given up."""
    monkeypatch.setenv("DAGSTER_HOME", "to be restored")
    monkeypatch.setenv("STUB_SECONDS", "0")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    home = prepare_home(Settings(dagster_home=tmp_path / "home"), POSTGRES)
    asset = defined(stub("raw_audio"))
    seen = at = 0
    retried: list[bool] = []

    def before_statement(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            server.cut()

    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert materialize(instance, asset, tmp_path)
        records = instance.get_records_for_run(last_run(instance).run_id).records
        assert [r for r in records if r.event_log_entry.step_key == "raw_audio"]
        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", before_statement)
        try:
            # a step of one asset with its checks takes some 90 statements, after some 40 that plan the run
            for statement in range(50, 120, 10):
                seen, at = 0, statement
                if not materialize(instance, asset, tmp_path):
                    retried.append(will_retry(instance))
        finally:
            sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", before_statement)
    assert retried
    assert all(retried)


def test_a_run_that_waits_for_a_slot_leaves_the_core_to_others(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run holds the only slot for two more seconds, in which this one looks a few times and not thousands."""
    monkeypatch.setenv("STUB_SECONDS", "0")
    sleep_while_waiting_for_a_pool()
    storage = instance.event_log_storage
    storage.set_concurrency_slots("gpu", 1)
    assert storage.claim_concurrency_slot("gpu", "another run", "its step").is_claimed
    looks = 0
    sleep = ActiveExecution.sleep_til_ready

    def counted(execution: ActiveExecution) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            other.start()
        sleep(execution)

    monkeypatch.setattr(ActiveExecution, "sleep_til_ready", counted)
    other = threading.Timer(2, storage.free_concurrency_slots_for_run, ["another run"])
    assert materialize(instance, defined(stub("transcripts")), tmp_path)
    other.join()
    assert 1 <= looks <= 20
