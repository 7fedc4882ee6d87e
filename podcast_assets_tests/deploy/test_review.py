"""The review page on one machine and on Kubernetes: valid files, confined pods, and nobody reaches its database."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings
from podcast_assets_tests.deploy.conftest import DEPLOY, KUBERNETES, named, strictly_valid, tool

COMPOSE = DEPLOY / "compose"


def test_compose_knows_every_field() -> None:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE / "review.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_only_the_login_reaches_the_page_and_nobody_the_catalog() -> None:
    services: dict[str, dict[str, Any]] = yaml.safe_load((COMPOSE / "review.yaml").read_text())["services"]
    assert not [name for name, service in services.items() if "ports" in service]
    assert [name for name, service in services.items() if "ui" in service.get("networks", ())] == ["review"]
    for name in ("review", "catalog-tables"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"]
    given = {n for s in services.values() for n in s.get("environment", {}) if n.startswith("PODCAST_")}
    known = {environment_name(field) for field in Settings.model_fields}
    assert given - known == {"PODCAST_REVIEW_SITE"}, "which is Caddy's"


def test_caddy_takes_the_site(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "review.caddy").write_text((COMPOSE / "review.caddy").read_text())
    (tmp_path / "Caddyfile").write_text((COMPOSE / "Caddyfile").read_text())
    environment = {
        "PODCAST_SITE": "localhost",
        "PODCAST_REVIEW_SITE": "review.localhost",
        "PODCAST_UI_USER": "podcast",
        "PODCAST_UI_PASSWORD_HASH": "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG",
        "HOME": str(tmp_path),
    }
    command = [tool("caddy"), "adapt", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    assert "review.localhost" in result.stdout
    assert "review:3001" in result.stdout


def test_kubernetes_takes_the_component(tmp_path: Path) -> None:
    parts = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "podcast",
        "resources": [os.path.relpath(KUBERNETES / "base", tmp_path)],
        "components": [os.path.relpath(KUBERNETES / "components" / "review", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(parts))
    command = [tool("kubectl"), "kustomize", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    manifests = [m for m in yaml.safe_load_all(result.stdout) if m and m["metadata"]["name"].startswith("review")]
    assert {m["kind"] for m in manifests} == {"Deployment", "Service", "Ingress", "NetworkPolicy"}
    for manifest in manifests:
        strictly_valid(manifest)
    pod = named(manifests, "Deployment", "review")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert container["image"].startswith("podcast-assets:"), "the version of the base"
