"""The doctor asks Dagster's database."""

from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.cli.doctor import database
from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import POSTGRES, project_file, set_gpu_slots
from podcast_assets_tests.waiting import free_port


def test_a_database_that_answers_and_one_that_is_damaged(dagster_home: Path) -> None:
    settings = Settings(dagster_home=dagster_home)
    (found,) = database.examine(settings)
    assert (found.state, found.what) == ("ok", "Dagster's database answers: 0 runs")
    _, pool = database.examine(settings, gpus=2)
    assert (pool.state, pool.todo) == ("warning", "podcast-assets init --gpus 2"), "one slot, until init is told more"
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        set_gpu_slots(instance, 2)
    assert [f.state for f in database.examine(settings, gpus=2)] == ["ok", "ok"]
    on_ray = settings.model_copy(update={"compute": "ray"})
    assert len(database.examine(on_ray, gpus=9)) == 1, "the GPUs of a cluster are shared in another way"
    (dagster_home / "history" / "runs.db").write_bytes(b"no database" * 1000)
    (found,) = database.examine(settings)
    assert (found.state, found.blocks) == ("missing", True)
    assert "not a database" in found.what


def test_a_port_where_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_bytes(project_file(POSTGRES).read_bytes())
    values = {"HOST": "127.0.0.1", "PORT": str(free_port()), "DB": "d", "USER": "u", "PASSWORD": "hunter2-secret"}
    for name, value in values.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
    (found,) = database.examine(Settings(dagster_home=tmp_path))
    assert (found.state, found.blocks) == ("missing", True)
    assert "Connection refused" in found.what
    assert "hunter2" not in f"{found.what}{found.todo}"


def test_an_instance_that_is_not_set_up_is_no_problem_and_nothing_is_created(tmp_path: Path) -> None:
    assert database.examine(Settings(dagster_home=tmp_path)) == []
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    assert database.examine(Settings(dagster_home=tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["dagster.yaml"]
