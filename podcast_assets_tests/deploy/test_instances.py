"""Every dagster.yaml of deploy/ is one that Dagster loads, and every workspace too."""

import re
from pathlib import Path
from typing import Any

import pytest
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._serdes import ConfigurableClassData

from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import POSTGRES, project_file
from podcast_assets_tests.deploy.conftest import DEPLOY

INSTANCES = sorted(DEPLOY.rglob("dagster.yaml"))
ENVIRONMENT = {
    "DAGSTER_POSTGRES_URL": "postgresql+psycopg2://dagster:secret@db.example.org:5432/dagster",
    "LOGS_BUCKET": "podcasts",
    "RUN_IMAGE": "podcast-assets:0.1.0",
}


@pytest.fixture(params=INSTANCES, ids=lambda p: str(p.relative_to(DEPLOY)))
def reference(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> InstanceRef:
    """What Dagster reads of a dagster.yaml: unknown keys are refused here."""
    (tmp_path / "dagster.yaml").write_text(request.param.read_text())
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return InstanceRef.from_dir(str(tmp_path))


def test_dagster_loads_it(reference: InstanceRef) -> None:
    """Classes exist, and take the configuration with the variables filled in."""
    named = [getattr(reference, name) for name in dir(reference) if name.endswith("_data")]
    parts = [part for part in named if isinstance(part, ConfigurableClassData)]
    assert len(parts) >= 4
    for part in parts:
        module = __import__(part.module_name, fromlist=[part.class_name])
        accepted = process_config(
            resolve_to_config_type(getattr(module, part.class_name).config_type()), part.config_dict
        )
        assert accepted.success, (part.class_name, accepted.errors)


def test_storage_is_postgresql_by_the_driver_that_works(reference: InstanceRef) -> None:
    storage = reference.storage_data
    assert storage is not None
    assert storage.class_name == "DagsterPostgresStorage"
    assert storage.config_dict == {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}
    assert "DAGSTER_POSTGRES_URL=postgresql+psycopg2://" in (DEPLOY / "kubernetes/secrets.env.example").read_text()


def test_a_dead_run_frees_its_gpu_and_is_begun_again(reference: InstanceRef) -> None:
    settings: Any = reference.settings
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    assert settings["run_retries"]["max_retries"] > 0
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is True
    assert settings["concurrency"]["pools"]["granularity"] == "op"


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("workspace.yaml")), ids=lambda p: str(p.relative_to(DEPLOY)))
def test_a_workspace_names_the_code_location(path: Path) -> None:
    [origin] = location_origins_from_yaml_paths([str(path)])
    assert origin.location_name == "podcast_assets"
    assert "4000" in str(origin.get_display_metadata())


def test_the_service_environment_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (DEPLOY / "systemd/environment.example").read_text().splitlines()
    # systemd reads comments only at the start of a line
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert not [v for v in values.values() if "#" in v or v.startswith(("'", '"', "$"))]
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert Settings().store == values["PODCAST_STORE"]
    wanted = set(re.findall(r"env: (DAGSTER_\w+)", project_file(POSTGRES).read_text()))
    assert wanted <= values.keys(), "what `podcast-assets init --postgres` puts there reads these"
