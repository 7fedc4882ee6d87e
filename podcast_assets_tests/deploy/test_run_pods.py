"""The pod of a run, as the run launcher of our dagster.yaml asks Kubernetes for it."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from podcast_assets.definitions import defs
from podcast_assets.defs.jobs import JOB
from podcast_assets_tests.deploy.conftest import OVERLAYS, ApiServer, Manifest, named, render, serve_api, strictly_valid

SECRET = "correct-horse-battery-staple"


def launched(overlay: str, api_server: ApiServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """The Job that a run becomes with an overlay's configuration, launched by the launcher itself."""
    manifests = render(overlay)
    for name, value in named(manifests, "ConfigMap", "podcast-settings")["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", f"postgresql+psycopg2://dagster:{SECRET}@postgres/dagster")
    config = yaml.safe_load(named(manifests, "ConfigMap", "dagster-instance")["data"]["dagster.yaml"])
    # no database here, and an API server of ours
    del config["storage"], config["compute_logs"], config["local_artifact_storage"]
    config["run_launcher"]["config"] |= {
        "load_incluster_config": False,
        "kubeconfig_file": str(api_server.kubeconfig(folder)),
    }
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    context = json.loads(named(manifests, "ConfigMap", "run-pods")["data"]["DAGSTER_CONTAINER_CONTEXT"])
    origin = JobPythonOrigin(
        JOB,
        RepositoryPythonOrigin(
            executable_path="/opt/venv/bin/python",
            code_pointer=ModuleCodePointer("podcast_assets.definitions", "defs"),
            entry_point=["dagster"],
            container_context=context,
        ),
    )
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        run = instance.create_run_for_job(defs.resolve_job_def(JOB), job_code_origin=origin)
        instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    [job] = api_server.jobs
    return job


@pytest.fixture(scope="module", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def job(overlay: str, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    with serve_api() as api_server, pytest.MonkeyPatch.context() as monkeypatch:
        return launched(overlay, api_server, tmp_path_factory.mktemp("instance"), monkeypatch)


def pod(job: Manifest) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def test_kubernetes_would_take_it(job: Manifest) -> None:
    strictly_valid(job)


def test_it_gives_way_and_has_time_to_end(job: Manifest) -> None:
    assert pod(job)["priorityClassName"] == "podcast-batch"
    assert pod(job)["terminationGracePeriodSeconds"] == 120
    assert pod(job)["restartPolicy"] == "Never"
    assert job["spec"]["backoffLimit"] == 0, "Dagster resumes the run; a second pod would run beside it"


def test_it_is_confined_and_can_write_where_it_must(job: Manifest, overlay: str) -> None:
    [container] = pod(job)["containers"]
    assert pod(job)["securityContext"]["runAsNonRoot"] is True
    assert pod(job)["serviceAccountName"] == "podcast-run"
    # an account without rights, and yet a token: Dagster loads the run launcher in every process where runs are resumed
    assert pod(job)["automountServiceAccountToken"] is True
    bindings = [m for m in render(overlay) if m["kind"] in {"RoleBinding", "ClusterRoleBinding"}]
    assert "podcast-run" not in {s["name"] for m in bindings for s in m["subjects"]}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    assert {"/tmp", "/models", "/opt/dagster/dagster_home"} <= mounts.keys()
    volumes = {v["name"]: v for v in pod(job)["volumes"]}
    assert set(mounts.values()) <= volumes.keys()
    there = {(m["kind"], m["metadata"]["name"]) for m in render(overlay)}
    assert ("PersistentVolumeClaim", volumes["models"]["persistentVolumeClaim"]["claimName"]) in there
    assert ("PriorityClass", pod(job)["priorityClassName"]) in there
    assert ("ServiceAccount", pod(job)["serviceAccountName"]) in there


def test_it_has_the_settings_and_no_secret_in_the_open(job: Manifest) -> None:
    [container] = pod(job)["containers"]
    assert {"configMapRef": {"name": "podcast-settings"}} in container["envFrom"]
    assert {"secretRef": {"name": "podcast-secrets"}} in container["envFrom"]
    assert SECRET not in json.dumps(job)


def test_only_the_node_overlay_asks_for_a_gpu(job: Manifest, overlay: str) -> None:
    [container] = pod(job)["containers"]
    limits = container["resources"]["limits"]
    tolerated = [t["key"] for t in pod(job).get("tolerations", [])]
    if overlay == "overlays/gpu-node":
        assert limits["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"] == "1"
        assert tolerated == ["nvidia.com/gpu"]
    else:
        assert "nvidia.com/gpu" not in limits
        assert tolerated == []
    assert container["image"] == {"base": "podcast-assets:0.1.0"}.get(overlay, "podcast-assets-gpu:0.1.0")


def test_runs_on_ray_have_its_token(job: Manifest, overlay: str) -> None:
    [container] = pod(job)["containers"]
    environment = {e["name"]: e for e in container["env"]}
    if overlay != "overlays/ray":
        assert "RAY_AUTH_TOKEN" not in environment
        return
    assert environment["RAY_AUTH_MODE"]["value"] == "token"
    assert environment["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {
        "name": "podcast-ray-token",
        "key": "auth_token",
    }
    # the network policy lets pods with this label reach the head
    assert job["spec"]["template"]["metadata"]["labels"]["podcast-assets/ray-client"] == "true"
