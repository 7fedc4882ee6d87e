"""The manifests: valid to the letter, nobody is root, nothing is named that is not there, and only a login reaches the UI."""

from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster_ray.kuberay import configs

from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings
from podcast_assets_tests.deploy.conftest import (
    KUBERNETES,
    OVERLAYS,
    Manifest,
    named,
    pod_templates,
    render,
    strictly_valid,
)

BY_HAND = [KUBERNETES / "fetch-models.yaml", KUBERNETES / "overlays/ray/rayjob.yaml"]
"""Applied when one wants them, not with an overlay."""
MADE_BY_PEOPLE = {"podcast-secrets", "postgres", "oauth2-proxy", "podcast-ray-token"}
"""Secrets, with the commands on docs/operations/deploy.md."""


def by_hand() -> list[Manifest]:
    return [yaml.safe_load(path.read_text()) for path in BY_HAND]


def test_kubernetes_knows_every_field(manifests: list[Manifest]) -> None:
    for manifest in [*manifests, *by_hand()]:
        if manifest["apiVersion"] != "ray.io/v1":
            strictly_valid(manifest)
        for template in pod_templates(manifest).values():
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": template.get("metadata", {}),
                "spec": template["spec"],
            }
            strictly_valid(pod)


def test_a_typo_would_be_found() -> None:
    [deployment] = [
        m for m in render("base") if m["metadata"]["name"] == "dagster-daemon" and m["kind"] == "Deployment"
    ]
    deployment["spec"]["template"]["spec"]["priorityClassNam"] = "podcast-service"
    with pytest.raises(kubernetes_validate.ValidationError, match="priorityClassNam"):
        strictly_valid(deployment)


def test_pods_are_confined(manifests: list[Manifest]) -> None:
    """The namespace enforces the standard `restricted`: a pod that is not is refused by Kubernetes, in the middle of the night."""
    assert (
        named(manifests, "Namespace", "podcast")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        == "restricted"
    )
    for manifest in [*manifests, *by_hand()]:
        for where, template in pod_templates(manifest).items():
            security = template["spec"]["securityContext"]
            assert security["runAsNonRoot"] is True, where
            assert security["runAsUser"] > 0, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            for container in template["spec"]["containers"]:
                own = container["securityContext"]
                assert own["allowPrivilegeEscalation"] is False, where
                assert own["capabilities"] == {"drop": ["ALL"]}, where
                assert own.get("readOnlyRootFilesystem") is True or "submitter" in where, where
                assert container["resources"]["limits"]["memory"], where
                assert container["resources"]["requests"], where


def test_long_lived_containers_are_watched(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                assert "livenessProbe" in container, manifest["metadata"]["name"]
                assert "command" not in container, "tini is the image's entry point: arguments go into args"


def test_what_is_named_is_there(manifests: list[Manifest]) -> None:
    there = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    for manifest in [*manifests, *by_hand()]:
        for where, template in pod_templates(manifest).items():
            spec = template["spec"]
            wanted = {("PriorityClass", spec[key]) for key in ["priorityClassName"] if key in spec}
            wanted |= {("ServiceAccount", spec["serviceAccountName"])} if "serviceAccountName" in spec else set()
            for volume in spec.get("volumes", []):
                if "configMap" in volume:
                    wanted.add(("ConfigMap", volume["configMap"]["name"]))
                if "persistentVolumeClaim" in volume:
                    wanted.add(("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]))
            for container in spec["containers"]:
                for source in container.get("envFrom", []):
                    if "configMapRef" in source:
                        wanted.add(("ConfigMap", source["configMapRef"]["name"]))
                    else:
                        assert source["secretRef"]["name"] in MADE_BY_PEOPLE, where
                mounted = {v["name"] for v in spec.get("volumes", [])}
                claimed = {c["metadata"]["name"] for c in manifest["spec"].get("volumeClaimTemplates", [])}
                assert {m["name"] for m in container.get("volumeMounts", [])} <= mounted | claimed, where
            assert wanted <= there, where
    for service in (m for m in manifests if m["kind"] == "Service"):
        [pods] = [
            t["metadata"]["labels"]
            for m in manifests
            for t in pod_templates(m).values()
            if service["spec"]["selector"].items() <= t.get("metadata", {}).get("labels", {}).items()
        ]
        assert pods, service["metadata"]["name"]


def settings_of(value: Any) -> set[str]:
    """Every variable of podcast-assets that a manifest names, wherever."""
    if isinstance(value, dict):
        here = {k for k in value if isinstance(k, str) and k.startswith("PODCAST_")}
        here |= {n for n in [value.get("name")] if isinstance(n, str) and n.startswith("PODCAST_")}
        return here.union(*map(settings_of, value.values()))
    return set().union(*map(settings_of, value)) if isinstance(value, list) else set()


def test_settings_exist_and_are_accepted(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {environment_name(name) for name in Settings.model_fields}
    named_anywhere = settings_of([*manifests, *by_hand()])
    assert {"PODCAST_STORE", "PODCAST_PROFILE"} <= named_anywhere <= known
    for name, value in named(manifests, "ConfigMap", "podcast-settings")["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.compute == "ray") == any(m["kind"] == "RayCluster" for m in manifests)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_but_the_login_reaches_the_ui(overlay: str) -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in render(overlay) if m["kind"] == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    about = [p for p in policies.values() if "dagster-webserver" in str(p["podSelector"])]
    assert [p["ingress"] for p in about] == [
        [
            {
                "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "oauth2-proxy"}}}],
                "ports": [{"port": "http"}],
            }
        ]
    ]
    assert not [
        m for m in render(overlay) if m["kind"] == "Service" and m["spec"].get("type", "ClusterIP") != "ClusterIP"
    ]


def test_runs_give_way_and_push_nobody_aside(manifests: list[Manifest]) -> None:
    batch = named(manifests, "PriorityClass", "podcast-batch")
    assert batch["value"] < 0
    assert batch["preemptionPolicy"] == "Never"


def test_launching_runs_takes_no_more_rights_than_that(manifests: list[Manifest]) -> None:
    rules = named(manifests, "Role", "dagster-run-launcher")["rules"]
    assert not [r for r in rules if "*" in r["verbs"] + r["resources"] + r["apiGroups"] or "secrets" in r["resources"]]
    [may_write] = [r["resources"] for r in rules if "create" in r["verbs"]]
    assert may_write == ["jobs"]
    bound = {s["name"] for m in manifests if m["kind"] == "RoleBinding" for s in m["subjects"]}
    assert bound == {"dagster"}


def ray_clusters() -> list[Manifest]:
    """The specs of the Ray clusters: the one that stays, and the one of a RayJob."""
    [cluster] = [m for m in render("overlays/ray") if m["kind"] == "RayCluster"]
    [job] = [m for m in by_hand() if m["kind"] == "RayJob"]
    return [cluster["spec"], job["spec"]["rayClusterSpec"]]


def test_kuberay_knows_every_field() -> None:
    """dagster-ray declares the fields of KubeRay's resources, and refuses what KubeRay refuses."""

    def snake(name: str) -> str:
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

    [job] = [m["spec"] for m in by_hand() if m["kind"] == "RayJob"]
    # a RayJob's entrypoint is what dagster-ray fills in itself
    assert {snake(k) for k in job} - {"entrypoint"} <= configs.RayJobSpec.model_fields.keys()
    for spec in ray_clusters():
        assert {snake(k) for k in spec} <= configs.RayClusterSpec.model_fields.keys()
        assert {snake(k) for k in spec["authOptions"]} <= configs.AuthOptions.model_fields.keys()
        configs.RayClusterSpec(
            ray_version=spec["rayVersion"],
            auth_options=configs.AuthOptions(**{snake(k): v for k, v in spec["authOptions"].items()}),
        )


def test_ray_clusters_start_from_nothing_and_ask_for_a_token() -> None:
    environment = named(render("overlays/ray"), "ConfigMap", "podcast-settings")["data"]
    for spec in ray_clusters():
        assert spec["authOptions"] == {"mode": "token", "secretName": "podcast-ray-token"}
        assert spec["enableInTreeAutoscaling"] is True
        assert spec["autoscalerOptions"]["idleTimeoutSeconds"] > 60
        [workers] = spec["workerGroupSpecs"]
        assert (workers["replicas"], workers["minReplicas"]) == (0, 0)
        assert str(workers["maxReplicas"]) == environment["PODCAST_MAX_WORKERS"]
        [container] = workers["template"]["spec"]["containers"]
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert float(container["resources"]["requests"]["cpu"]) >= float(environment["PODCAST_WORKER_CPUS"])
        head = spec["headGroupSpec"]
        assert head["rayStartParams"]["num-gpus"] == "0"
        assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]
