"""What is built from settings goes by them, whatever the environment says; and parts of it can be replaced."""

import datetime
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._utils.schedules import is_valid_cron_string

from podcast_assets.config.cron import is_cron
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import ARRIVAL, raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.releases import enough_sealed
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.schedules import hourly_janitor, hourly_statistics, nightly_retry
from podcast_assets.defs.sensors import run_alerts as alerts
from podcast_assets.defs.sensors.due_feeds import due_feeds
from podcast_assets.defs.sensors.new_batches import new_batches
from podcast_assets.defs.sensors.run_alerts import (
    tell_of_cancellation,
    tell_of_failure,
    tell_of_start,
    tell_of_success,
)
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.feeds import follow
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure
from podcast_assets_tests.release.sealed_store import seal

SECRET = "0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        store=str(tmp_path / "store"),
        profile="embedded",
        settle_seconds=0,
        feed_hours=1,
        feed_newest=7,
        release_bytes=1,
        release_cron="1 1 * * *",
        licenses="*",
        retry_cron="2 2 * * *",
        retry_attempts=9,
        janitor_cron="3 3 * * *",
        statistics_cron="4 4 * * *",
        scratch_hours=50,
        keep_sources_days=1,
        max_runtime_hours=2,
        webhook_url="https://given.example/hook",  # type: ignore[arg-type]
        webhook_secret=SECRET,  # type: ignore[arg-type]
        max_hours=0.5,
    )


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment says something else of all that the settings say."""
    other = {
        "STORE": str(tmp_path / "other"),
        "PROFILE": "gpu",
        "SETTLE_SECONDS": "86400",
        "REQUIRE_READY": "true",
        "ALLOW_LINKS": "true",
        "STORE_ACCESS": "umask",
        "FEED_HOURS": "99",
        "FEED_NEWEST": "99",
        "RELEASE_BYTES": "1000000000000",
        "RELEASE_CRON": "9 9 * * *",
        "LICENSES": "none-at-all",
        "RETRY_CRON": "9 9 * * *",
        "RETRY_ATTEMPTS": "1",
        "JANITOR_CRON": "9 9 * * *",
        "STATISTICS_CRON": "9 9 * * *",
        "SCRATCH_HOURS": "1",
        "KEEP_SOURCES_DAYS": "1000",
        "MAX_RUNTIME_HOURS": "9",
        "WEBHOOK_URL": "https://environment.example/hook",
        "WEBHOOK_SECRET": "f" * 16,
        "MAX_HOURS": "99",
    }
    for name, value in other.items():
        monkeypatch.setenv(f"PODCAST_{name}", value)
    return tmp_path / "other"


@pytest.fixture
def definitions(settings: Settings, elsewhere: Path) -> dg.Definitions:
    return build_definitions(settings)


@pytest.fixture
def resources(definitions: dg.Definitions) -> dict[str, Any]:
    return dict(definitions.resources or {})


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store.at(settings.store)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def test_batches_arrive_in_the_store_and_at_the_pace_that_are_given(
    instance: dg.DagsterInstance, resources: dict[str, Any], store: Store
) -> None:
    store.write("incoming/one/a.mp3", b"x")
    with dg.build_sensor_context(instance, resources=resources) as context:
        new_batches(context)
    with dg.build_sensor_context(instance, cursor=context.cursor, resources=resources) as later:
        result = new_batches(later)
    assert isinstance(result, dg.SensorResult)
    (request,) = result.run_requests or []
    assert (request.partition_key, request.tags["dagster/max_runtime"]) == ("one", "7200")


def test_feeds_are_followed_as_is_given(
    instance: dg.DagsterInstance, resources: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def followed(*given: Any, now: datetime.datetime) -> follow.FollowResult:
        asked.extend(given)
        return real(*given, now=now)

    real = follow.follow_feeds
    monkeypatch.setattr(follow, "follow_feeds", followed)
    with dg.build_sensor_context(instance, resources=resources) as context:
        due_feeds(context)
    assert asked[0].root == store.root
    assert (asked[-1].hours, asked[-1].newest) == (1, 7)


def test_a_release_is_asked_for_as_is_given(
    instance: dg.DagsterInstance, resources: dict[str, Any], store: Store
) -> None:
    """Under the licences and with the threshold of the environment there would be none."""
    seal(store, "b1")
    with dg.build_sensor_context(instance, resources=resources) as context:
        found = enough_sealed(context)
    assert isinstance(found, dg.RunRequest)
    assert found.tags["dagster/max_runtime"] == "7200"


def test_schedules_keep_the_hours_and_the_attempts_that_are_given(
    definitions: dg.Definitions, settings: Settings, store: Store
) -> None:
    repository = definitions.get_repository_def()
    assert {s.name: s.cron_schedule for s in repository.schedule_defs} == {
        "nightly_release": "1 1 * * *",
        "nightly_retry": "2 2 * * *",
        "janitor": "3 3 * * *",
        "statistics": "4 4 * * *",
    }
    commit_batch(store, "b1", failure("transcribe", attempts=5))
    store.write("incoming/b1.tar", b"x")
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(BATCHES, ["b1"])
        for schedule in (nightly_retry(settings), hourly_janitor(settings), hourly_statistics(settings)):
            with dg.build_schedule_context(
                instance,
                scheduled_execution_time=datetime.datetime.now(datetime.UTC),
                repository_def=repository,
                resources=dict(definitions.resources or {}),
            ) as context:
                (request,) = schedule.evaluate_tick(context).run_requests or []
            assert request.tags["dagster/max_runtime"] == "7200"


def aged(path: Path, hours: float) -> None:
    then = time.time() - 3600 * hours
    os.utime(path, (then, then))


def test_the_janitor_leaves_alone_and_removes_what_is_given(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    store.write("incoming/x.tar", b"archive")
    commit_batch(store, "x")
    for path in (p for p in Path(str(store.root)).rglob("*") if p.is_file()):
        aged(path, 48)
    young = store.path("tables/.young.0123abcd.part")
    Path(str(young)).write_bytes(b"x")
    aged(Path(str(young)), 10)
    instance.report_runless_asset_event(
        dg.AssetMaterialization(raw_audio.key, partition="x", metadata={ARRIVAL: find_arrival(store, "x").signature})
    )
    assert definitions.resolve_job_def("tidy_up").execute_in_process(instance=instance).success
    assert not store.exists("incoming/x.tar"), "a day is given, not a thousand"
    assert young.exists(), "younger than what is given, older than what the environment says"


@pytest.mark.parametrize("succeeds", [True, False])
def test_the_webhook_that_is_given_is_told(
    instance: dg.DagsterInstance, resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch, succeeds: bool
) -> None:
    @dg.op
    def work() -> None:
        if not succeeds:
            raise ValueError("no")

    @dg.job
    def some_job() -> None:
        work()

    told: list[tuple[str, str]] = []
    monkeypatch.setattr(alerts, "send", lambda hook, _: told.append((hook.url, hook.secret)) or 1)
    result = some_job.execute_in_process(instance=instance, raise_on_error=False)
    (event,) = result.filter_events(lambda e: e.is_job_success or e.is_job_failure)
    name = "tell_of_success" if succeeds else "tell_of_failure"
    context = dg.build_run_status_sensor_context(
        sensor_name=name,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
        resources=resources,
    )
    (tell_of_success(context) if succeeds else tell_of_failure(context.for_run_failure()))
    assert told == [("https://given.example/hook", SECRET)]


def test_the_webhook_is_told_of_a_run_that_is_canceled(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    resources: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(alerts, "send", lambda _, content: told.append(content) or 1)
    run = instance.create_run_for_job(definitions.resolve_job_def("tidy_up"))
    event = instance.report_run_canceled(run, "it exceeded its maximum duration")
    context = dg.build_run_status_sensor_context(
        sensor_name="tell_of_cancellation",
        dagster_instance=instance,
        dagster_run=instance.get_run_by_id(run.run_id) or run,
        dagster_event=event,
        resources=resources,
    )
    assert "tell_of_cancellation" in {sensor.name for sensor in definitions.sensors or []}
    tell_of_cancellation(context)
    assert [(c["status"], c["error"]) for c in told] == [("canceled", "it exceeded its maximum duration")]


def test_the_webhook_is_told_of_a_start_even_if_the_run_has_ended_since(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    resources: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(alerts, "send", lambda _, content: told.append(content) or 1)

    @dg.job
    def some_job() -> None: ...

    result = some_job.execute_in_process(instance=instance)
    (event,) = result.filter_events(lambda e: e.event_type_value == "PIPELINE_START")
    context = dg.build_run_status_sensor_context(
        sensor_name="tell_of_start",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
        resources=resources,
    )
    assert "tell_of_start" in {sensor.name for sensor in definitions.sensors or []}
    tell_of_start(context)
    assert [(c["status"], c["error"], c["id"]) for c in told] == [("started", None, f"{result.run_id}:STARTED")]


def test_assets_work_in_the_store_and_with_the_limits_that_are_given(
    instance: dg.DagsterInstance, definitions: dg.Definitions, resources: dict[str, Any], store: Store, elsewhere: Path
) -> None:
    store.write("incoming/b/a.txt", b"no audio")
    instance.add_dynamic_partitions(BATCHES, ["b"])
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, asset_selection=[raw_audio.key], partition_key="b").success
    assert store.exists(table_key("raw_audio", "b"))
    assert not elsewhere.exists()
    assert resources["pipeline"].selected_profile().name == "embedded"
    assert resources["pipeline"].settings().max_hours == 0.5
    # what the resource does not hold has its default
    assert resources["pipeline"].settings().webhook_url is None
    assert resources["releases"].settings().licenses == "*"
    assert resources["releases"].settings().release_bytes is None


def test_resources_and_assets_can_be_replaced(
    instance: dg.DagsterInstance, settings: Settings, store: Store, tmp_path: Path
) -> None:
    seen: list[str] = []

    @dg.asset(name="raw_audio")
    def mine(store: StoreResource) -> None:
        seen.append(store.root)

    mine_instead = build_definitions(
        settings,
        resource_overrides={"store": StoreResource(root=str(tmp_path / "mine"))},
        asset_overrides=[mine],
    )
    job = mine_instead.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, asset_selection=[raw_audio.key]).success
    assert seen == [str(tmp_path / "mine")]
    unchanged = build_definitions(settings).resolve_asset_graph().get(raw_audio.key)
    assert unchanged.is_partitioned
    with pytest.raises(ValueError, match="nothing is defined as shop"):
        build_definitions(settings, resource_overrides={"shop": 1})
    with pytest.raises(ValueError, match="nothing is defined as"):
        build_definitions(settings, asset_overrides=[dg.asset(name="another")(lambda: None)])


@pytest.mark.parametrize(
    "line",
    [
        *(
            "0 2 * * *",
            "*/5 0-6/2 1,15 jan-mar mon#2",
            "@daily",
            "0 0 L * *",
            "0 0 29 2 *",
            "0 0 31 2,4 *",
            "0 0 * * 7",
        ),
        *(
            "*/5 8-18,22 * * mon-fri",
            "0 0 l * ?",
            "0 0 * feb,DEC 7",
            "5/10 * 1-31/2 * *",
            "0 0 * * fri#2",
            "1- * * * *",
        ),
        *("* * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "* * * mon *", "1,,2 * * * *"),
        *("0 2 * *", "0 2 * * * *", "60 * * * *", "0 0 31 2 *", "0 0 30 feb *", "daily", "", "@reboot", "*/0 * * * *"),
    ],
)
def test_a_cron_line_is_one_for_the_settings_if_it_is_one_for_dagster(line: str) -> None:
    assert is_cron(line) == is_valid_cron_string(line)
