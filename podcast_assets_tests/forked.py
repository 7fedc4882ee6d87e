"""Commands and functions in processes of their own, forked from one that has already imported the libraries.

Starting Python and importing Dagster and Polars takes three seconds, and the engines' libraries as many again. A forked process has
its own environment, working folder, standard streams, process id and exit status, and can be killed like any other.
"""

import atexit
import contextlib
import importlib
import multiprocessing
import multiprocessing.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from podcast_assets_tests import quick

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["podcast_assets_tests.forked_imports"])
PATIENCE = 1200.0
"""Seconds after which a process counts as stuck; nothing is measured by it."""


@dataclass(frozen=True)
class Child:
    """A process, and the files that its output goes to."""

    process: BaseProcess
    streams: Path
    """Folder of the files `out` and `err`."""

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def out(self) -> str:
        """Standard output so far."""
        return (self.streams / "out").read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return (self.streams / "err").read_text()

    @property
    def running(self) -> bool:
        return self.process.exitcode is None

    def stop(self) -> None:
        """Suspend it with SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it continue after `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.join()

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait for its end; returns the exit status, or minus the number of the signal that ended it.

        Raises:
            TimeoutError: it does not end within `patience` seconds; it is killed.
        """
        self.process.join(patience)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"the process did not end within {patience} s: {self.err}")
        return self.process.exitcode


_STARTED: list[Child] = []
"""Processes of this one, whether they still run or not."""


def start(
    function: Callable[..., object],
    *arguments: object,
    environment: Mapping[str, str],
    cwd: Path,
    pictures: bool = False,
    streams: Path | None = None,
) -> Child:
    """Call a function of a module in a process of its own.

    Args:
        function: of a module, so that it can be pickled.
        arguments: of the function.
        environment: all of its environment variables.
        cwd: working folder.
        pictures: draw real pictures, which takes seconds, not placeholders.
        streams: folder for the files of its output; a new folder in `cwd` by default.
    """
    folder = streams or Path(tempfile.mkdtemp(prefix="forked-", dir=cwd))
    for name in ("out", "err"):
        (folder / name).touch()
    process = CONTEXT.Process(
        target=_run, args=(function, arguments, dict(environment), cwd, folder, pictures), daemon=True
    )
    process.start()
    child = Child(process, folder)
    _STARTED.append(child)
    return child


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Kill the processes that the block has started and that still run, suspended or not."""
    before = len(_STARTED)
    try:
        yield
    finally:
        _kill_started(before)


def _kill_started(after: int = 0) -> None:
    while len(_STARTED) > after:
        _STARTED.pop().kill()


# `multiprocessing` ends its processes with SIGTERM, which a suspended one never takes, and waits for them for ever. Its handler was
# registered by the import of `multiprocessing.util`, so this one is called before it.
atexit.register(_kill_started)


def start_command(
    *arguments: str | Path,
    environment: Mapping[str, str],
    cwd: Path,
    pictures: bool = False,
    streams: Path | None = None,
) -> Child:
    """Start `podcast-assets …`; parameters as those of `start`."""
    return start(
        run_command, *map(str, arguments), environment=environment, cwd=cwd, pictures=pictures, streams=streams
    )


def command(
    *arguments: str | Path, environment: Mapping[str, str], cwd: Path, pictures: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `podcast-assets …` and wait for its end; leaves nothing in `cwd`."""
    with tempfile.TemporaryDirectory() as streams:
        child = start_command(*arguments, environment=environment, cwd=cwd, pictures=pictures, streams=Path(streams))
        status = child.wait()
        return subprocess.CompletedProcess(["podcast-assets", *map(str, arguments)], status, child.out, child.err)


def run_command(*arguments: str) -> None:
    """Be `podcast-assets …`: for functions that are started, and change something first."""
    from podcast_assets.cli.main import main

    sys.argv = ["podcast-assets", *arguments]
    main(list(arguments), prog_name="podcast-assets")


def _run(
    function: Callable[..., object],
    arguments: tuple[object, ...],
    environment: dict[str, str],
    cwd: Path,
    streams: Path,
    pictures: bool,
) -> None:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(streams / name, os.O_WRONLY)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    multiprocessing.current_process().daemon = False  # it may start processes of its own
    if constants := sys.modules.get("huggingface_hub.constants"):
        # to unpickle the function may have imported the client, which read its settings then
        importlib.reload(constants)
    if not pictures:
        quick.draw_nothing(pytest.MonkeyPatch())
    try:
        function(*arguments)
    finally:
        atexit._run_exitfuncs()  # multiprocessing does not call them
