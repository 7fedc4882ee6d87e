"""`podcast-assets dev` ends when it is asked to, and answers nobody but this machine."""

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Sequence

from podcast_assets.defs.local_ui import dev_command
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
main(["dev"])
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


def test_sigterm_ends_it_though_a_shell_started_it_in_the_background(place: Place) -> None:
    """A shell ignores SIGINT for a process in the background, and Dagster handles SIGTERM as SIGINT."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
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
