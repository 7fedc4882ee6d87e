"""Real processes that suspend themselves in the middle of a stage, however fast the machine is.

A process that has `environment(folder)` stops with SIGSTOP right before it names a checkpoint of the stage and batch that
`request_stop` wrote down last, once per request. The hook is `sitecustomize.py`, which Python imports at its start.
"""

from pathlib import Path

import psutil

from podcast_assets.store.store import checkpoints_key
from podcast_assets_tests.stopping.sitecustomize import STOP_FILE
from podcast_assets_tests.waiting import wait_for


def environment(folder: Path) -> dict[str, str]:
    """Environment variables of processes that stop where the file in `folder` says."""
    return {STOP_FILE: str(folder / "stop-point"), "PYTHONPATH": str(Path(__file__).parent)}


def request_stop(folder: Path, stage: str, batch: str, checkpoints: int = 1) -> None:
    """Let the next process that has so many checkpoints of a stage stop before it has another one."""
    fresh = folder / "stop-point.new"
    fresh.write_text(f"{checkpoints} {checkpoints_key(stage, batch)}")
    fresh.replace(folder / "stop-point")


def wait_until_stopped(pid: int, what: str, patience: float) -> None:
    """Wait until a process has suspended itself.

    Raises:
        AssertionError: it ended instead.
        TimeoutError: neither happened in `patience` seconds.
    """

    def stopped() -> bool:
        try:
            status = psutil.Process(pid).status()
        except psutil.NoSuchProcess:
            status = psutil.STATUS_DEAD
        assert status not in (psutil.STATUS_DEAD, psutil.STATUS_ZOMBIE), f"the process ended before {what}"
        return status == psutil.STATUS_STOPPED

    wait_for(what, stopped, patience=patience, every=0.02)
