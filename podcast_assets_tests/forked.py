"""Commands, each in a process of its own that is forked from one which has imported the libraries already.

To start Python and import Dagster and Polars takes three seconds, and the engines' libraries as many again. A forked process has
an environment, a working folder, standard streams, a process id and an exit status of its own, as any other.
"""

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["podcast_assets_tests.forked_imports"])


def start_command(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
) -> ForkServerProcess:
    """Start `podcast-assets …` in a folder.

    Args:
        arguments: of the command.
        folder: where it runs.
        environment: all of its environment variables.
        stdout: file for its standard output.
        stderr: file for its standard error.
    """
    process = CONTEXT.Process(
        target=_command, args=(list(arguments), str(folder), dict(environment), str(stdout), str(stderr))
    )
    process.start()
    return process


def run_command(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `podcast-assets …` in a folder and wait for its end: `start_command`."""
    with tempfile.TemporaryDirectory() as streams:
        stdout, stderr = Path(streams, "stdout"), Path(streams, "stderr")
        process = start_command(arguments, folder=folder, environment=environment, stdout=stdout, stderr=stderr)
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(
            ["podcast-assets", *arguments], process.exitcode, stdout.read_text(), stderr.read_text()
        )


def enter(folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    """Give a forked process its folder, environment and streams."""
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def _command(arguments: list[str], folder: str, environment: dict[str, str], stdout: str, stderr: str) -> None:
    enter(folder, environment, stdout, stderr)
    sys.argv = ["podcast-assets", *arguments]
    from podcast_assets.cli.main import main

    try:
        main(arguments, prog_name="podcast-assets")
    finally:
        atexit._run_exitfuncs()  # a process of `multiprocessing` leaves them out
