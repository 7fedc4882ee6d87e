"""Functions and commands called in forked processes (`forked`): killed like any other, and started without the time of the imports.

They draw no pictures. A test whose promise is a picture, or how the program starts, runs `python -m podcast_assets.cli` itself, as
`Place.command` does.
"""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from podcast_assets_tests import quick
from podcast_assets_tests.forked import CONTEXT, enter


@dataclass(frozen=True)
class Child:
    """A process, and the files that its output goes to."""

    process: BaseProcess
    folder: Path

    @property
    def out(self) -> str:
        """Standard output so far."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """Standard error so far."""
        return (self.folder / "err").read_text()

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.join()

    def wait(self, patience: float = 300.0) -> int:
        """Exit status; minus the signal where one ended it.

        Raises:
            TimeoutError: it does not end within `patience` seconds; it is killed.
        """
        self.process.join(patience)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"it did not end within {patience} s: {self.err}")
        return self.process.exitcode


def start(function: Callable[..., object], *arguments: object, environment: Mapping[str, str], cwd: Path) -> Child:
    """Call a function of a module in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="forked-", dir=cwd))
    for name in ("out", "err"):
        (folder / name).touch()
    process = CONTEXT.Process(target=_run, args=(function, arguments, dict(environment), cwd, folder), daemon=True)
    process.start()
    return Child(process, folder)


def start_command(*arguments: str | Path, environment: Mapping[str, str], cwd: Path) -> Child:
    """Begin `podcast-assets …`."""
    return start(run_command, *map(str, arguments), environment=environment, cwd=cwd)


def command(*arguments: str | Path, environment: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `podcast-assets …` and wait for its end."""
    child = start_command(*arguments, environment=environment, cwd=cwd)
    status = child.wait()
    return subprocess.CompletedProcess(list(map(str, arguments)), status, child.out, child.err)


def run_command(*arguments: str) -> None:
    """Be `podcast-assets …`: for functions that are started, and change something before."""
    from podcast_assets.cli.main import main

    sys.argv = ["podcast-assets", *arguments]
    main(list(arguments), prog_name="podcast-assets")


def _run(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    cwd: Path,
    folder: Path,
) -> None:
    enter(str(cwd), environment, str(folder / "out"), str(folder / "err"))
    if constants := sys.modules.get("huggingface_hub.constants"):
        # to unpickle the function may have imported the client, which read its settings then
        importlib.reload(constants)
    quick.draw_nothing(pytest.MonkeyPatch())
    function(*arguments)
