"""Stop this process right before it names a checkpoint: see the package. Imports little, as every Python process imports it."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

STOP_FILE = "TEST_STOP_FILE"
"""Environment variable: path of a file with a number of checkpoints and their folder in the store."""


_ONE_AT_A_TIME = threading.Lock()
_renamed: set[str] = set()
"""Checkpoints that this process was let to rename. Several threads write them, and a rename is seen before it is done."""


def _stop_before_checkpoint(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "os.rename":
        return
    target, file = Path(arguments[1]), Path(os.environ.get(STOP_FILE, os.devnull))
    if not _is_checkpoint(target):
        return
    with _ONE_AT_A_TIME:
        try:
            checkpoints, key = file.read_text().split(" ", 1)
        except (ValueError, FileNotFoundError):  # nothing is requested
            return
        if not target.parent.as_posix().endswith(key):
            return
        if len(_checkpoints(target.parent) | _renamed) < int(checkpoints):
            _renamed.add(target.name)
            return
        while not _renamed <= _checkpoints(target.parent):
            time.sleep(0.001)
        file.unlink()  # once per request
        _renamed.clear()
        os.kill(os.getpid(), signal.SIGSTOP)


def _checkpoints(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if _is_checkpoint(path)}


def _is_checkpoint(path: Path) -> bool:
    return path.suffix == ".parquet" and not path.name.startswith(".")


def install() -> None:
    """Watch the renames of this process from now on."""
    sys.addaudithook(_stop_before_checkpoint)


if STOP_FILE in os.environ and __name__ == "sitecustomize":
    install()
