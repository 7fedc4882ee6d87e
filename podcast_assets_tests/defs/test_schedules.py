"""The nightly retry: what may pass, once a night, and not for ever."""

import datetime
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES, PARTITION
from podcast_assets.defs.schedules import nightly_retry
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import commit_batch, failure


@pytest.fixture
def instance(dagster_home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(dagster_home)) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path, instance: dg.DagsterInstance) -> Store:
    store = Store.at(tmp_path)
    commit_batch(store, "good")
    commit_batch(store, "may-pass", failure("transcribe", attempts=2))
    commit_batch(store, "bad-data", failure("ingest", permanent=True))
    commit_batch(store, "tried-often", failure("transcribe", attempts=3))
    commit_batch(store, "taken", failure("diarize"))
    commit_batch(store, "source-gone", failure("diarize"))
    for batch in ("good", "may-pass", "bad-data", "tried-often", "taken"):
        store.write(f"incoming/{batch}.tar", b"x")
    instance.add_dynamic_partitions(BATCHES, ["good", "may-pass", "bad-data", "tried-often", "taken", "source-gone"])
    job = dg.GraphDefinition(name="any", node_defs=[]).to_job()
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PARTITION: "taken"})
    return store


def night(instance: dg.DagsterInstance, store: Store, day: int) -> list[dg.RunRequest]:
    settings = Settings(store=str(store.root), retry_attempts=3, max_runtime_hours=6)
    definitions = build_definitions(settings)
    with dg.build_schedule_context(
        instance,
        scheduled_execution_time=datetime.datetime(2026, 11, day, 2, tzinfo=datetime.UTC),
        repository_def=definitions.get_repository_def(),
        resources=dict(definitions.resources or {}),
    ) as context:
        return list(nightly_retry(settings).evaluate_tick(context).run_requests or [])


def test_one_run_per_batch_whose_failures_may_pass(instance: dg.DagsterInstance, store: Store) -> None:
    (request,) = night(instance, store, 1)
    assert request.partition_key == "may-pass"
    assert request.tags["podcast/source"] == "retry"
    assert request.tags["dagster/max_runtime"] == str(6 * 3600)
    assert -10 < int(request.tags["dagster/priority"]) < 10


def test_the_keys_of_two_nights_differ_and_of_one_do_not(instance: dg.DagsterInstance, store: Store) -> None:
    keys = [night(instance, store, day)[0].run_key for day in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]


def test_schedules_run_without_being_switched_on_but_for_what_may_publish() -> None:
    schedules = build_definitions(Settings(retry_cron="5 3 * * *")).get_repository_def().schedule_defs
    crons = {s.name: (s.cron_schedule, s.default_status) for s in schedules}
    assert crons == {
        "nightly_retry": ("5 3 * * *", dg.DefaultScheduleStatus.RUNNING),
        "janitor": ("30 * * * *", dg.DefaultScheduleStatus.RUNNING),
        "statistics": ("10 * * * *", dg.DefaultScheduleStatus.RUNNING),
        "nightly_release": ("0 4 * * *", dg.DefaultScheduleStatus.STOPPED),
    }


def test_a_cron_line_that_cannot_be_read_is_told() -> None:
    with pytest.raises(ValueError, match="must be a cron expression"):
        Settings(janitor_cron="every hour")
