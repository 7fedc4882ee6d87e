"""The values for Dagster's chart: keys that it has, and pods that Kubernetes takes.

pip can install neither helm nor the chart. What is here is held against the keys of the chart's own value models (pydantic
classes under helm/dagster/schema in Dagster's repository), read in the version that has `concurrency` and written down below as
far as we use them.
"""

from typing import Any

import dagster_k8s
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type

from podcast_assets_tests.deploy.conftest import DEPLOY, Manifest, locked, strictly_valid

IMAGE = {"repository", "tag", "pullPolicy"}
SERVICE = {
    *(
        "image",
        "env",
        "envConfigMaps",
        "envSecrets",
        "deploymentLabels",
        "labels",
        "nodeSelector",
        "affinity",
        "tolerations",
    ),
    *(
        "podSecurityContext",
        "securityContext",
        "resources",
        "livenessProbe",
        "readinessProbe",
        "startupProbe",
        "annotations",
    ),
    *("schedulerName", "volumeMounts", "volumes"),
}
CHART: dict[str, set[str]] = {
    "": {
        *(
            "dagsterWebserver",
            "dagster-user-deployments",
            "postgresql",
            "generatePostgresqlPasswordSecret",
            "imagePullSecrets",
        ),
        *("computeLogManager", "runLauncher", "pythonLogs", "dagsterDaemon", "telemetry", "serviceAccount", "global"),
        *("retention", "concurrency", "ingress", "scheduler", "additionalInstanceConfig"),
    },
    "global": {"postgresqlSecretName", "dagsterHome", "serviceAccountName", "celeryConfigSecretName"},
    "postgresql": {
        *("image", "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword", "postgresqlDatabase"),
        *("postgresqlParams", "postgresqlScheme", "service", "pool"),
    },
    "telemetry": {"enabled"},
    "pythonLogs": {"pythonLogLevel", "managedPythonLoggers", "dagsterHandlerConfig"},
    "computeLogManager": {"type", "config"},
    "computeLogManager.config.s3ComputeLogManager": {
        *("bucket", "localDir", "prefix", "useSsl", "verify", "verifyCertPath", "endpointUrl", "skipEmptyFiles"),
        *("uploadInterval", "uploadExtraArgs", "showUrlOnly", "region"),
    },
    "dagsterWebserver": SERVICE
    | {"replicaCount", "nameOverride", "pathPrefix", "service", "workspace", "enableReadOnly"},
    "dagsterWebserver.image": IMAGE,
    "dagsterDaemon": SERVICE
    | {
        "enabled",
        "runCoordinator",
        "heartbeatTolerance",
        "runMonitoring",
        "runRetries",
        "sensors",
        "schedules",
        "backfills",
    },
    "dagsterDaemon.image": IMAGE,
    "dagsterDaemon.runCoordinator": {"enabled", "type", "config"},
    "dagsterDaemon.runCoordinator.config": {"queuedRunCoordinator", "customRunCoordinator"},
    "dagsterDaemon.runMonitoring": {
        *("enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "maxResumeRunAttempts", "pollIntervalSeconds"),
        *("freeSlotsAfterRunEndSeconds", "maxRuntimeSeconds"),
    },
    "dagsterDaemon.runRetries": {"enabled", "maxRetries", "retryOnAssetOrOpFailure"},
    "concurrency": {"enabled", "pools", "runs"},
    "concurrency.pools": {"defaultLimit", "granularity", "opGranularityRunBuffer"},
    "concurrency.runs": {"maxConcurrentRuns", "tagConcurrencyLimits"},
    "dagster-user-deployments": {"enabled", "enableSubchart", "imagePullSecrets", "deployments"},
    "runLauncher": {"type", "config"},
    "runLauncher.config": {"k8sRunLauncher", "celeryK8sRunLauncher", "customRunLauncher"},
    "runLauncher.config.k8sRunLauncher": {
        *(
            "image",
            "imagePullPolicy",
            "jobNamespace",
            "loadInclusterConfig",
            "kubeconfigFile",
            "envConfigMaps",
            "envSecrets",
        ),
        *("envVars", "volumeMounts", "volumes", "labels", "failPodOnRunFailure", "resources", "schedulerName"),
        *("securityContext", "runK8sConfig"),
    },
    "runLauncher.config.k8sRunLauncher.runK8sConfig": {
        *("containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig", "jobMetadata"),
    },
}
DEPLOYMENT = (SERVICE - {"deploymentLabels"}) | {
    *("name", "dagsterApiGrpcArgs", "codeServerArgs", "includeConfigInLaunchedRuns", "deploymentNamespace", "port"),
    *("initContainers", "sidecarContainers", "deploymentStrategy"),
}


def merged(low: Any, high: Any) -> Any:
    """Values on top of values, as helm merges them: maps by key, null takes away, all else replaces."""
    if not (isinstance(low, dict) and isinstance(high, dict)):
        return high
    both = {k: merged(low.get(k), v) for k, v in high.items() if v is not None}
    return {k: v for k, v in (low | both).items() if k not in high or high[k] is not None}


@pytest.fixture(params=["values.yaml", "values-ray.yaml"])
def values(request: pytest.FixtureRequest) -> dict[str, Any]:
    base = yaml.safe_load((DEPLOY / "helm/values.yaml").read_text())
    if request.param == "values.yaml":
        return base
    return merged(base, yaml.safe_load((DEPLOY / "helm" / request.param).read_text()))


def at(values: dict[str, Any], path: str) -> dict[str, Any]:
    for key in filter(None, path.split(".")):
        values = values[key]
    return values


def test_the_chart_has_these_keys(values: dict[str, Any]) -> None:
    for path, keys in CHART.items():
        assert at(values, path).keys() <= keys, path
    for deployment in at(values, "dagster-user-deployments")["deployments"]:
        assert deployment.keys() <= DEPLOYMENT
        assert deployment["image"].keys() <= IMAGE


def test_kubernetes_takes_what_is_said_of_pods(values: dict[str, Any]) -> None:
    services = [values["dagsterWebserver"], values["dagsterDaemon"], *values["dagster-user-deployments"]["deployments"]]
    for service in services:
        container = {k: service[k] for k in ("securityContext", "resources")}
        strictly_valid(pod({"name": "x", **container}, {"securityContext": service["podSecurityContext"]}))
    run = at(values, "runLauncher.config.k8sRunLauncher.runK8sConfig")
    strictly_valid(pod({"name": "x", **run["containerConfig"]}, run["podSpecConfig"]))


def pod(container: dict[str, Any], spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container], **spec}}


def test_the_run_launcher_takes_what_the_chart_hands_it(values: dict[str, Any]) -> None:
    run = at(values, "runLauncher.config.k8sRunLauncher.runK8sConfig")
    names = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "podTemplateSpecMetadata": "pod_template_spec_metadata",
        "jobSpecConfig": "job_spec_config",
    }
    config = {
        "instance_config_map": "dagster-instance",
        "service_account_name": "dagster",
        "run_k8s_config": {names[k]: v for k, v in run.items()},
    }
    accepted = process_config(resolve_to_config_type(dagster_k8s.K8sRunLauncher.config_type()), config)
    assert accepted.success, accepted.errors


def test_gpus_belong_to_runs_or_to_ray_and_never_to_both() -> None:
    base = yaml.safe_load((DEPLOY / "helm/values.yaml").read_text())
    ray = merged(base, yaml.safe_load((DEPLOY / "helm/values-ray.yaml").read_text()))
    path = "runLauncher.config.k8sRunLauncher.runK8sConfig"
    assert at(base, path)["containerConfig"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in str(at(ray, path)["containerConfig"]["resources"])
    for values in [base, ray]:
        assert at(values, path)["podSpecConfig"]["priorityClassName"] == "podcast-batch"
        assert at(values, path)["podSpecConfig"]["terminationGracePeriodSeconds"] == 120


def test_the_chart_is_of_the_version_that_is_locked() -> None:
    text = (DEPLOY / "helm/values.yaml").read_text()
    assert f"--version {locked('dagster')} " in text
    assert "psycopg2" in yaml.safe_load(text)["postgresql"]["postgresqlScheme"]
