"""`podcast-assets dev` ends when it is asked to, and answers nobody but this machine."""

import http.client
import http.server
import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence

import dagster as dg
import pytest
from dagster._daemon.auto_run_reexecution import event_log_consumer

from podcast_assets.defs.dagster_internals import run_daemon
from podcast_assets.defs.local_ui import _announce, dev_command
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.waiting import free_port, wait_for

PROGRAM = """
import os, sys

from podcast_assets.cli.main import main

AFTERWARDS = '''
import signal
from dagster._utils.interrupts import setup_interrupt_handlers
setup_interrupt_handlers()  # what `dagster dev` begins with
signal.raise_signal(signal.SIGTERM)
print("still here")
'''
replace_process = os.execvp
os.execvp = lambda file, arguments: replace_process(file, [file, "-c", AFTERWARDS])
main(["dev", "--port", sys.argv[1]])
"""
"""Runs the command, with an excerpt of `dagster dev` in its place."""

STARTED = """
import json, sys

import dagster._cli as cli
from dagster._cli import dev
from podcast_assets.defs import local_ui

dev.open_ipc_subprocess = lambda command, **options: print(json.dumps(command))
cli.main = lambda: dev.open_ipc_subprocess([sys.executable, "-m", "dagster_webserver"])
local_ui._main()
"""


QUIET = """
import sys

from dagster._cli import dev
from podcast_assets.defs import local_ui


def stop(command, **options):
    raise SystemExit(0)


dev.open_ipc_subprocess = stop  # where it starts the web server, after all that it has to say
local_ui._main()
"""


def test_it_starts_without_warnings_that_read_like_errors(place: Place) -> None:
    """Of `dg dev`, and of the dagster.yaml of the checkout. Dagster's own program runs here, so that other words are noticed."""
    (place.folder / "dagster.yaml").write_text("{}\n")
    (place.folder / "home").mkdir()
    (place.folder / "home" / "dagster.yaml").write_text("{}\n")
    arguments = ["--empty-workspace", "--log-level", "warning"]
    _, *command = dev_command([], arguments)
    result = subprocess.run(
        [sys.executable, "-c", QUIET, *command[2:]],
        cwd=place.folder,
        env=place.environment(DAGSTER_HOME=str(place.folder / "home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_new_instance_has_no_position_in_its_events_and_that_is_no_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster._daemon.cli.main", lambda: None)
    monkeypatch.setattr(sys, "argv", sys.argv)
    logger = logging.getLogger("dagster.daemon.EventLogConsumerDaemon")
    monkeypatch.setattr(logger, "filters", [])
    with dg.instance_for_test() as instance:
        for expected in (1, 0):
            caplog.clear()
            event_log_consumer._fetch_persisted_cursors(instance, [dg.DagsterEventType.RUN_FAILURE], logger)
            assert len(caplog.records) == expected
            run_daemon([])
    logger.warning("the database is gone")
    assert [record.getMessage() for record in caplog.records] == ["the database is gone"]


def test_a_port_that_is_taken_is_named_before_anything_starts(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = place.command("dev", "--port", str(port))
    assert result.returncode == 2
    assert result.stderr.startswith(f"podcast-assets: port {port} of this machine cannot be used")
    assert "pass --port" in result.stderr


def test_it_says_where_the_ui_is_once_it_answers(capsys: pytest.CaptureFixture[str]) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/server_info" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        _announce(server.server_port)
    assert capsys.readouterr().err == f"the Dagster UI is ready: http://127.0.0.1:{server.server_port}\n"


def test_sigterm_ends_it_though_a_shell_started_it_in_the_background(place: Place) -> None:
    """A shell ignores SIGINT for a process in the background, and Dagster handles SIGTERM as SIGINT."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(free_port())],
        cwd=place.folder,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert "still here" not in result.stdout
    assert "KeyboardInterrupt" in result.stderr, result.stderr


def _status(port: int, host: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/server_info", headers={"Host": host})
        return connection.getresponse().status
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def test_the_ui_answers_no_name_of_a_stranger(place: Place) -> None:
    """DNS rebinding: a page of evil.example that resolves to 127.0.0.1 could read and start everything."""
    port = free_port()
    _, *command = _webserver_of(dev_command(["ui.example"], []))
    process = subprocess.Popen(
        [sys.executable, *command, "--empty-workspace", "--host", "127.0.0.1", "--port", str(port)],
        cwd=place.folder,
        env=place.environment(DAGSTER_HOME=""),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("the UI", lambda: _status(port, "localhost"), patience=120)
        allowed = {host: _status(port, host) for host in ("localhost", f"127.0.0.1:{port}", f"ui.example:{port}")}
        strangers = ("evil.example", f"evil.example:{port}", "localhost.evil.example")
        refused = {host: _status(port, host) for host in strangers}
    finally:
        process.kill()
        process.wait()
    assert set(allowed.values()) == {200}, allowed
    assert set(refused.values()) == {400}, refused


def _webserver_of(command: Sequence[str]) -> list[str]:
    """What `dagster dev` starts as its web server when it is run by this command."""
    result = subprocess.run([command[0], "-c", STARTED, *command[3:]], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)
