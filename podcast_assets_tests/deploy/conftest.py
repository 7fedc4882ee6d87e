"""What `deploy/` makes: manifests as kustomize renders them, and a Kubernetes API that writes down what it is sent."""

import contextlib
import json
import re
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from podcast_assets_tests.conftest import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ["base", "overlays/gpu-node", "overlays/ray"]
VERSIONS = ["1.31", "1.37"]
"""Of Kubernetes: what is sent must be known to both."""

Manifest = dict[str, Any]


def tool(name: str) -> str:
    """A program that the extra `dev` installs."""
    path = Path(sysconfig.get_path("scripts")) / name
    found = str(path) if path.exists() else shutil.which(name)
    assert found, f"{name} is missing: pip install -c constraints.txt -e '.[dev]'"
    return found


def locked(name: str) -> str:
    """The version of a package in constraints.txt."""
    [version] = re.findall(rf"^{re.escape(name)}==(\S+)", (CHECKOUT / "constraints.txt").read_text(), re.MULTILINE)
    return version


def render(overlay: str) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    result = subprocess.run(
        [tool("kubectl"), "kustomize", str(KUBERNETES / overlay)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return [m for m in yaml.safe_load_all(result.stdout) if m]


@pytest.fixture(scope="session", params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests of one overlay after the other."""
    return render(request.param)


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one manifest of a kind and name."""
    [found] = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def strictly_valid(manifest: Manifest) -> None:
    """Nothing in a manifest that Kubernetes does not know, in any of `VERSIONS`."""
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def pod_templates(manifest: Manifest) -> dict[str, Manifest]:
    """Where a manifest describes pods, by a name for messages: of Deployments, Jobs, and KubeRay's groups."""
    label = f"{manifest['kind']} {manifest['metadata'].get('name') or manifest['metadata'].get('generateName')}"
    spec = manifest.get("spec", {})
    cluster = spec.get("rayClusterSpec", spec)
    found = {
        label: spec.get("template"),
        f"{label} submitter": spec.get("submitterPodTemplate"),
        f"{label} head": cluster.get("headGroupSpec", {}).get("template"),
    }
    found |= {f"{label} {g['groupName']}": g["template"] for g in cluster.get("workerGroupSpecs", [])}
    return {name: template for name, template in found.items() if template}


@dataclass
class ApiServer:
    """A Kubernetes API that accepts every Job and keeps it."""

    url: str
    jobs: list[Manifest] = field(default_factory=list)

    def kubeconfig(self, folder: Path) -> Path:
        """A file that leads a client here."""
        path = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path


@contextlib.contextmanager
def serve_api() -> Iterator[ApiServer]:
    """A Kubernetes API on loopback."""
    kept: list[Manifest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/apis/batch/v1/namespaces/podcast/jobs", self.path
            kept.append(json.loads(body))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ApiServer(f"http://127.0.0.1:{server.server_port}", kept)
    finally:
        server.shutdown()
        thread.join()
