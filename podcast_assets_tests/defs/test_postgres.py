"""Dagster's instance in a real PostgreSQL, which goes away in the middle of a run."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import POSTGRES, prepare_home
from podcast_assets.defs.runs.history import remove_texts
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.defs.stub_deployment import StubDeployment, named, wait_for
from podcast_assets_tests.servers.postgres import Postgres, postgres

pytest.importorskip("dagster_postgres", reason="needs the extra postgres")


log = logging.getLogger(__name__)

STEP, DOWN = 10.0, 30.0
"""Seconds that a GPU step takes, and that the database is away: Dagster tries an event's connection for about 6."""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


def test_init_takes_the_configuration_and_replaces_no_other(place: Place, server: Postgres) -> None:
    first = place.command("init", "--gpus", "3", "--postgres", **server.environment)
    assert first.returncode == 0, first.stderr
    again = place.command("init", "--gpus", "3", "--postgres", **server.environment)
    assert again.returncode == 0, again.stderr
    (place.folder / "dagster_home" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    other = place.command("init", "--postgres", **server.environment)
    assert other.returncode == 2
    assert "move it away first" in other.stderr


def test_runs_and_slots_are_in_the_database(tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "to be restored")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)

    @dg.op(pool="gpu")
    def any_op() -> None:
        pass

    @dg.job
    def any_job() -> None:
        any_op()

    home = prepare_home(Settings(dagster_home=tmp_path / "home"), POSTGRES)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert "Postgres" in type(instance.run_storage).__name__
        instance.event_log_storage.set_concurrency_slots("gpu", 3)
        result = any_job.execute_in_process(instance=instance)
        assert server.password not in str(instance.get_ref())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.event_log_storage.get_concurrency_info("gpu").slot_count == 3
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS
    assert not list(home.rglob("*.db"))


def test_texts_of_earlier_versions_are_removed_from_the_database(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "to be restored")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    shown = dg.MetadataValue.md("| segment_id | text |\n|---|---|\n| one | what was said |")
    with dg.DagsterInstance.from_config(
        str(prepare_home(Settings(dagster_home=tmp_path / "home"), POSTGRES))
    ) as instance:
        for batch in ("one", "two"):
            metadata = {"words": 3, "segments": shown}
            instance.report_runless_asset_event(
                dg.AssetMaterialization("transcripts", partition=batch, metadata=metadata)
            )
        assert remove_texts(instance, ["two"]) == 1
        events = instance.fetch_materializations(dg.AssetKey("transcripts"), limit=5).records
        left = {e.partition_key: set(e.asset_materialization.metadata) for e in events if e.asset_materialization}
        assert left == {"one": {"words", "segments"}, "two": {"words"}}
        latest = instance.get_latest_materialization_event(dg.AssetKey("transcripts"))
        assert latest is not None
        assert "what was said" not in str(latest)


@pytest.fixture(scope="module")
def deployment(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubDeployment]:
    place = Place(tmp_path_factory.mktemp("postgres"))
    found = StubDeployment(place, POSTGRES, server.environment | {"STUB_SECONDS": str(STEP)})
    found.command("init", "--gpus", "1")
    with found.up():
        yield found


@pytest.mark.faults
@pytest.mark.parametrize(("batch", "seconds"), [("moment", 0.0), ("long", DOWN)])
def test_a_run_outlives_its_database(
    deployment: StubDeployment, server: Postgres, monkeypatch: pytest.MonkeyPatch, batch: str, seconds: float
) -> None:
    """The database is cut off while a run computes. The batch is done in the end: by that run, or by the one that takes it up."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    tables = Path(str(deployment.place.store.path("tables")))
    deployment.drop(batch)
    wait_for("the first GPU step", lambda: batch in named(tables / "raw_audio"))
    server.stop()
    time.sleep(seconds)
    server.start()

    def runs() -> list[dg.DagsterRun]:
        with deployment.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": batch})))

    wait_for("the batch", lambda: any(run.status == dg.DagsterRunStatus.SUCCESS for run in runs()))
    log.info("%s: %s", batch, [run.status.value for run in runs()])
    assert batch in named(tables / "hf_shards")
