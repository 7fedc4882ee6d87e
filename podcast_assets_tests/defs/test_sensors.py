"""The sensor: each batch once, a changed one again, and nothing for what is known."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL, raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES, busy_batches
from podcast_assets.defs.sensors.new_batches import REQUESTS_PER_TICK, Cursor, new_batches, plan_tick
from podcast_assets.intake.arrivals import IncomingFile, group_by_batch, list_incoming
from podcast_assets.store.store import Store


def resources_of(store: Store) -> dict[str, Any]:
    return dict(build_definitions(Settings(store=str(store.root), settle_seconds=0)).resources or {})


def incoming(**sizes: int):
    return group_by_batch([IncomingFile(f"{b}.tar", size, 100.0) for b, size in sizes.items()])


def test_a_batch_is_requested_at_the_second_look_and_never_again() -> None:
    first = plan_tick(incoming(a=1), Cursor(), now=500, minimum_age=30)
    assert first.requests == {}
    second = plan_tick(incoming(a=1), first.cursor, now=530, minimum_age=30)
    assert list(second.requests) == ["a"]
    third = plan_tick(incoming(a=1), second.cursor, now=545, minimum_age=30)
    assert (third.requests, third.cursor.seen) == ({}, {})


def test_a_changed_batch_is_requested_again_and_said_to_be_changed() -> None:
    cursor = Cursor(requested={"a": incoming(a=1).arrivals["a"].signature})
    first = plan_tick(incoming(a=2), cursor, now=500, minimum_age=30)
    second = plan_tick(incoming(a=2), first.cursor, now=530, minimum_age=30)
    assert (list(second.requests), second.changed) == (["a"], ["a"])


def test_a_flood_is_spread_over_ticks() -> None:
    many = incoming(**{f"b{n:04d}": 1 for n in range(REQUESTS_PER_TICK + 30)})
    first = plan_tick(many, Cursor(), now=500, minimum_age=30)
    second = plan_tick(many, first.cursor, now=530, minimum_age=30)
    third = plan_tick(many, second.cursor, now=545, minimum_age=30)
    assert (len(second.requests), len(third.requests)) == (REQUESTS_PER_TICK, 30)
    assert not second.requests.keys() & third.requests.keys()


def test_a_tick_adds_the_partitions_and_requests_tagged_runs(store: Store) -> None:
    for name in ("one", "two"):
        store.write(f"incoming/{name}.tar", b"x")
    resources = resources_of(store)
    with dg.DagsterInstance.ephemeral() as instance:
        time.sleep(0.01)
        waiting = new_batches(dg.build_sensor_context(instance, resources=resources))
        assert isinstance(waiting, dg.SkipReason)
        context = dg.build_sensor_context(instance, resources=resources)
        new_batches(context)
        again = new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))
        assert isinstance(again, dg.SensorResult)
        requests = list(again.run_requests or [])
        assert [r.partition_key for r in requests] == ["one", "two"]
        assert requests[0].tags["podcast/source"] == "sensor"
        assert set(instance.get_dynamic_partitions(BATCHES)) == {"one", "two"}


def test_a_batch_that_a_command_materialized_is_known(tmp_path: Path) -> None:
    """`make demo` and then `make dev`: the sample batch must not run again, with other engines."""
    store = Store.at(tmp_path)
    for name in ("known", "new"):
        store.write(f"incoming/{name}.tar", b"x")
    signature = list_incoming(store).arrivals["known"].signature
    resources = resources_of(store)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(raw_audio.key, partition="known", metadata={ARRIVAL: signature})
        )
        context = dg.build_sensor_context(instance, resources=resources)
        new_batches(context)
        result = new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))
    assert isinstance(result, dg.SensorResult)
    assert [r.partition_key for r in result.run_requests or []] == ["new"]


def test_new_batches_do_not_wait_behind_hundreds_that_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `podcast-assets backfill --all` the sensor sees what it has never seen, and all of it is materialized."""
    store = Store.at(tmp_path)
    names = [f"b{n:03d}" for n in range(2 * REQUESTS_PER_TICK + 10)]
    for name in (*names, "new"):
        store.write(f"incoming/{name}.tar", b"x")
    signatures = {b: a.signature for b, a in list_incoming(store).arrivals.items()}
    resources = resources_of(store)
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setattr(
            "podcast_assets.defs.sensors.new_batches.known_arrivals",
            lambda _, some: {b: signatures[b] for b in some if b != "new"},
        )
        context = dg.build_sensor_context(instance, resources=resources)
        new_batches(context)
        result = new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))
    assert isinstance(result, dg.SensorResult)
    assert [r.partition_key for r in result.run_requests or []] == ["new"]
    assert not Cursor.load(result.cursor).seen


def test_the_cursor_is_read_as_it_was_written_and_no_other() -> None:
    cursor = plan_tick(incoming(a=1), Cursor(requested={"b": "1234"}), now=500, minimum_age=30).cursor
    assert Cursor.load(json.dumps(asdict(cursor))) == cursor
    assert Cursor.load(None) == Cursor()
    for other in ('{"seen": {"a": "0123456789abcdef"}, "requested": {}}', "[]", "nothing", '{"seen": {}}'):
        with pytest.raises(ValueError, match="unreadable cursor"):
            Cursor.load(other)


def test_a_cursor_of_another_version_is_no_failure(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/one.tar", b"x")
    old = json.dumps({"seen": {"one": "0123456789abcdef"}, "requested": {}})
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, cursor=old, resources=resources_of(store))
        assert isinstance(new_batches(context), dg.SkipReason)
    assert list(Cursor.load(context.cursor).seen) == ["one"]


def test_a_batch_with_a_run_that_goes_on_waits_for_its_end() -> None:
    first = plan_tick(incoming(a=1, b=1), Cursor(), now=500, minimum_age=30)
    second = plan_tick(incoming(a=1, b=1), first.cursor, now=530, minimum_age=30, busy={"a"})
    assert (list(second.requests), list(second.cursor.seen), list(second.cursor.requested)) == (["b"], ["a"], ["b"])
    third = plan_tick(incoming(a=1, b=1), second.cursor, now=531, minimum_age=30)
    assert list(third.requests) == ["a"]


def test_the_runs_of_one_batch_and_of_a_range_make_them_busy() -> None:
    job = dg.GraphDefinition(name="any", node_defs=[]).to_job()
    ranged = {"dagster/asset_partition_range_start": "c", "dagster/asset_partition_range_end": "a"}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, ["z", "c", "b", "a", "d", "e"])
        for status, tags in (
            (dg.DagsterRunStatus.STARTED, ranged),
            (dg.DagsterRunStatus.STARTING, {"dagster/partition": "d"}),
            (dg.DagsterRunStatus.SUCCESS, {"dagster/partition": "e"}),
        ):
            instance.create_run_for_job(job, status=status, tags=tags)
        assert busy_batches(instance) == {"a", "b", "c", "d"}


def test_a_tick_leaves_a_batch_alone_that_a_run_has(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    for name in ("free", "taken"):
        store.write(f"incoming/{name}.tar", b"x")
    resources = resources_of(store)
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.GraphDefinition(name="any", node_defs=[]).to_job()
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "taken"})
        context = dg.build_sensor_context(instance, resources=resources)
        new_batches(context)
        result = new_batches(dg.build_sensor_context(instance, cursor=context.cursor, resources=resources))
    assert isinstance(result, dg.SensorResult)
    assert [r.partition_key for r in result.run_requests or []] == ["free"]
    assert list(Cursor.load(result.cursor).seen) == ["taken"]
