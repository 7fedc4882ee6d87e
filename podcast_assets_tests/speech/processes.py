"""What tests do with processes that they know by their id."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from podcast_assets_tests.waiting import wait_for


def kill(pid: int) -> None:
    """Kill a process, and wait until it is no more."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: ended(pid))


def ended(pid: int) -> bool:
    """Whether a process is no more, or only waits for its parent to notice: its last thread has ended too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    except FileNotFoundError:
        return True


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that comes true soon."""
    wait_for("what the test expects", true, patience=600, every=0.05)
