"""Dagster as the queue: a real webserver and daemon, many runs, however they were started."""

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.defs.instance import LOCAL
from podcast_assets.defs.partitions import BATCHES, UNFINISHED
from podcast_assets.defs.webhook import SIGNATURE, is_authentic
from podcast_assets.store.schema import ASSETS
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.defs.stub_deployment import PATIENCE, StubDeployment, named, overlap, wait_for
from podcast_assets_tests.servers.receiver import Receiver, receiver, wait_for_requests

GPU_STEPS = {"diarized_segments", "transcripts"}
SLOTS = 2
SECRET = "0123456789abcdef0123"
MANY = 100
"""Ten runs, of which four go on at once. `benchmarks/dagster_scale.py` takes more."""

log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with receiver(500) as found:
        yield found


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, hook: Receiver) -> Iterator[StubDeployment]:
    place = Place(tmp_path_factory.mktemp("queue"))
    found = StubDeployment(place, LOCAL, {"PODCAST_WEBHOOK_URL": hook.url, "PODCAST_WEBHOOK_SECRET": SECRET})
    found.command("init", "--gpus", str(SLOTS))
    with found.up():
        yield found


def done(deployment: StubDeployment) -> set[str]:
    return named(Path(str(deployment.place.store.path("tables/hf_shards"))))


def backfill_id(said: str) -> str:
    match = re.search(r"backfill (\w+) of [0-9]+ batch(?:es)? requested", said)
    assert match, said
    return match[1]


def test_no_more_steps_than_slots_however_runs_are_started(deployment: StubDeployment) -> None:
    """Sensor, job launch, the UI's button, backfill: eight runs with sixteen GPU steps."""
    with deployment.instance() as instance:
        instance.add_dynamic_partitions(BATCHES, ["a", "b", "c", "d", "e", "f"])
    deployment.drop("b", "d", "f")
    deployment.materialize_in_the_ui("a")
    deployment.materialize_in_the_ui("c")
    tags = '{"dagster/partition": "e"}'
    deployment.dagster("job", "launch", "-w", str(deployment.workspace), "-j", "podcast_dataset", "--tags", tags)
    deployment.command("backfill", "b", "d", "f")  # no two of them are neighbours: a run each
    deployment.drop("new-1", "new-2")  # for the sensor
    expected = {"a", "b", "c", "d", "e", "f", "new-1", "new-2"}
    wait_for("all batches", lambda: expected <= done(deployment))
    with deployment.instance() as instance:
        wait_for("the ends of the runs", lambda: not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)))
        most, steps = overlap(instance, GPU_STEPS)
        runs = instance.get_runs()
        limits = [run.tags.get("dagster/max_runtime") for run in runs if run.job_name == "podcast_dataset"]
        priorities = {
            run.tags["podcast/source"]: run.tags["dagster/priority"] for run in runs if run.tags.get("podcast/source")
        }
    log.info("%d runs, %d GPU steps, at most %d at once", len(runs), steps, most)
    assert most == SLOTS
    assert steps >= 2 * len(expected)
    assert set(limits) == {"86400"}
    assert priorities["sensor"] == "10"
    assert priorities["backfill"] == "-10"


def test_the_webhook_gets_the_outcome_of_each_run(deployment: StubDeployment, hook: Receiver) -> None:
    """Signed, again after the receiver's error, and with what is known of the batch."""
    deployment.drop("bad-one", "good-one")

    def told(status: str, batch: str) -> dict[str, Any] | None:
        contents = (r.content for r in hook.received if r.content["status"] == status)
        return next((content for content in contents if content["batches"] == [batch]), None)

    wait_for("both outcomes", lambda: told("failure", "bad-one") and told("success", "good-one"))
    failure, success = told("failure", "bad-one"), told("success", "good-one")
    assert failure is not None
    assert success is not None
    assert failure["error"] == "raw_audio: batch bad-one: it is bad"
    assert "batch bad-one: it is bad" in failure["traceback"]
    assert told("started", "good-one")
    assert failure["job"] == "podcast_dataset"
    assert failure["source"] == "sensor"
    assert failure["will_retry"] is False
    assert failure["stages"] == {}
    assert set(success["stages"]) == {"ingest", "diarize", "transcribe", "score", "package"}
    ids = [r.content["id"] for r in hook.received]
    assert ids.count(ids[0]) == 2, "the first answer was 500"
    assert len(ids) == len(set(ids)) + 1
    assert all(
        is_authentic(SECRET, r.body, r.headers[SIGNATURE], now=time.time(), tolerance=3600) for r in hook.received
    )
    assert all(r.headers["webhook-id"] == r.content["id"] for r in hook.received)
    assert wait_for_requests(hook, 1, PATIENCE)
    assert SECRET not in deployment.log()


@pytest.mark.faults
def test_a_stuck_run_ends_and_frees_its_slot(deployment: StubDeployment) -> None:
    deployment.stop_sensor("new_batches")
    with deployment.instance() as instance:
        instance.add_dynamic_partitions(BATCHES, ["stuck"])
    tags = '{"dagster/partition": "stuck", "dagster/max_runtime": "5", "test": "stuck"}'
    deployment.dagster("job", "launch", "-w", str(deployment.workspace), "-j", "podcast_dataset", "--tags", tags)

    def ended() -> bool:
        with deployment.instance() as instance:
            (run,) = instance.get_runs(dg.RunsFilter(tags={"test": "stuck"}), limit=1)
            return run.is_finished

    wait_for("the end of the stuck run", ended)
    with deployment.instance() as instance:
        (run,) = instance.get_runs(dg.RunsFilter(tags={"test": "stuck"}), limit=1)
        failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    # its status is FAILURE or CANCELED: the daemon reports the failure, the run's process its end, whichever comes last
    assert any("maximum runtime" in record.event_log_entry.message for record in failures)

    def free() -> bool:
        with deployment.instance() as instance:
            return instance.event_log_storage.get_concurrency_info("gpu").active_slot_count == 0

    wait_for("its slot", free)

    def tried_again() -> bool:
        with deployment.instance() as instance:
            return bool(instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id})))

    wait_for("the run that repeats it", tried_again)


def test_a_hundred_batches_are_requested_cancelled_and_resumed(deployment: StubDeployment) -> None:
    deployment.stop_sensor("new_batches")
    before = done(deployment)
    many = [f"many-{n:03d}" if n < MANY // 2 else f"many-held-{n:03d}" for n in range(MANY)]
    deployment.drop(*many)
    began = time.monotonic()
    requested = deployment.command("backfill", *many)
    seconds = time.monotonic() - began
    identity = backfill_id(requested)
    wait_for("the first of them", lambda: len(done(deployment) - before) >= 10)
    deployment.command("backfill", "--cancel", identity)

    def cancelled() -> bool:
        with deployment.instance() as instance:
            found = instance.get_backfill(identity)
            return found is not None and found.status.value == "CANCELED"

    wait_for("the end of the backfill", cancelled)
    with deployment.instance() as instance:
        own = dg.RunsFilter(tags={"dagster/backfill": identity}, statuses=UNFINISHED)
        assert not instance.get_runs(own)
        launched = len(instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": identity})))
        assert len(instance.get_dynamic_partitions(BATCHES)) >= MANY
    missing = {
        b for b in many if not all(b in named(Path(str(deployment.place.store.path(f"tables/{a}")))) for a in ASSETS)
    }
    assert 0 < len(missing) < MANY
    resumed = backfill_id(deployment.command("backfill", *many, "--missing"))
    with deployment.instance() as instance:
        found = instance.get_backfill(resumed)
        assert found is not None
        assert found.asset_backfill_data is not None
        target = found.asset_backfill_data.target_subset
        wanted = {str(k.partition_key) for k in target.iterate_asset_partitions()}
    log.info("requested in %.1f s; %d runs, %d batches done when cancelled", seconds, launched, MANY - len(missing))
    assert wanted == missing
    deployment.place.store.write("let_go", b"x")
    wait_for("more of them", lambda: len(done(deployment) & missing) >= 10)
    deployment.command("backfill", "--cancel", resumed)
