"""One machine with a login: the Compose files by their schema, who can reach what, and the login itself, by the real Caddy."""

import base64
import contextlib
import http.client
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings
from podcast_assets.defs.instance import POSTGRES, project_file
from podcast_assets_tests.deploy.conftest import DEPLOY, tool
from podcast_assets_tests.waiting import free_port, wait_for

COMPOSE = DEPLOY / "compose"
FILES = [COMPOSE / "compose.yaml", COMPOSE / "gpu.yaml"]
USER, PASSWORD = "podcast", "correct-horse-battery-staple"


def check_schema(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(FILES[0].read_text())["services"]


def test_compose_knows_every_field_and_would_tell_a_typo(tmp_path: Path) -> None:
    result = check_schema(*FILES)
    assert result.returncode == 0, result.stdout
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILES[0].read_text().replace("depends_on: [webserver]", "depend_on: [webserver]"))
    assert "depend_on" in check_schema(wrong).stdout


def test_only_the_login_is_reached_and_it_reaches_only_the_ui(services: dict[str, dict[str, Any]]) -> None:
    assert [name for name, service in services.items() if "ports" in service] == ["login"]
    networks = {name: set(service.get("networks", ["default"])) for name, service in services.items()}
    assert [name for name, nets in networks.items() if nets & networks["login"]] == ["login", "webserver"]


def test_the_daemon_sees_the_processes_of_runs(services: dict[str, dict[str, Any]]) -> None:
    """Otherwise a run that died would count as alive, because it seems to be on another machine (`runs/process.py`)."""
    assert services["daemon"]["pid"] == "service:code-location"
    assert services["daemon"]["hostname"] == services["code-location"]["hostname"]


def test_what_it_asks_for_is_in_the_example_and_is_known(services: dict[str, dict[str, Any]]) -> None:
    text = "".join(path.read_text() for path in [*FILES, COMPOSE / "review.yaml"])
    asked = set(re.findall(r"\$\{(\w+)", text)) | {k for k, v in services["daemon"]["environment"].items() if v is None}
    example = (COMPOSE / "environment.example").read_text()
    assert asked == set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    settings = {environment_name(name) for name in Settings.model_fields}
    given = {name for name in services["daemon"]["environment"] if name.startswith("PODCAST_")}
    assert given <= settings
    instance = yaml.safe_load(project_file(POSTGRES).read_text())["storage"]["postgres"]["postgres_db"]
    wanted = {value["env"] for value in instance.values() if isinstance(value, dict) and "env" in value}
    assert wanted <= services["daemon"]["environment"].keys(), "what the instance reads"


def test_services_are_confined_and_images_say_their_version(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert "privileged" not in service, name
        if name != "postgres":
            assert service["cap_drop"] == ["ALL"], name
            assert service["read_only"], name


@contextlib.contextmanager
def webserver() -> Iterator[tuple[int, list[dict[str, str]]]]:
    """Stands for Dagster's webserver: its port, and the headers of what reached it."""
    seen: list[dict[str, str]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the UI")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, seen
        finally:
            server.shutdown()


def get(port: int, login: str | None = None) -> int | None:
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/graphql", headers=headers)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def test_only_those_with_the_password_see_the_ui(tmp_path: Path) -> None:
    caddy, port = tool("caddy"), free_port()
    hashed = subprocess.run(
        [caddy, "hash-password", "--plaintext", PASSWORD], capture_output=True, text=True, check=True
    )
    with webserver() as (upstream, seen):
        # no other change: neither its admin interface on the usual port, nor the name that only Compose knows
        written = (COMPOSE / "Caddyfile").read_text().replace("webserver:3000", f"127.0.0.1:{upstream}")
        (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + written)
        environment = {
            "PODCAST_SITE": f"http://127.0.0.1:{port}",
            "PODCAST_UI_USER": USER,
            "PODCAST_UI_PASSWORD_HASH": hashed.stdout.strip(),
            "HOME": str(tmp_path),
        }
        log = tmp_path / "log"
        with (
            log.open("w") as output,
            subprocess.Popen(
                [caddy, "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"],
                env=environment,
                stdout=output,
                stderr=output,
            ) as process,
        ):
            try:
                wait_for("Caddy", lambda: process.poll() is not None or get(port), patience=120)
                assert process.poll() is None, log.read_text()
                assert get(port) == 401
                assert get(port, f"{USER}:wrong") == 401
                assert not seen, "nobody got past it"
                assert get(port, f"{USER}:{PASSWORD}") == 200
            finally:
                process.terminate()
    assert len(seen) == 1
    assert "Authorization" not in seen[0]
