"""`podcast-assets dev` ends when it is asked to."""

import signal
import subprocess
import sys

from podcast_assets_tests.conftest import Place

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
