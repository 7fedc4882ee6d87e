"""Processes of the tests: started, watched until the moment of the fault, and never left behind."""

import os
import signal
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from podcast_assets.store.store import table_key
from podcast_assets_tests import waiting
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.faults.made import checkpoints
from podcast_assets_tests.forked import start_command

PATIENCE = 240
"""Seconds after which a test gives up; nothing is measured by it."""
wait_for = partial(waiting.wait_for, patience=PATIENCE, every=0.2)


def started(place: Place, *arguments: str, log: Path, **environment: str) -> ForkServerProcess:
    """`podcast-assets …` in the background; what it says goes to a file."""
    return start_command(
        arguments,
        folder=place.folder,
        environment=place.environment(**environment),
        stdout=Path(os.devnull),
        stderr=log,
    )


def ended(process: ForkServerProcess) -> int | None:
    """How a process ended; None where it has not in time, and is killed."""
    process.join(PATIENCE)
    code = process.exitcode
    process.kill()  # nothing may be left that pytest would wait for
    return code


def in_the_middle(
    place: Place, stage: str, asset: str, batch: str = "sample", process: ForkServerProcess | None = None
) -> None:
    """Return while a stage is at work: it has written a checkpoint, and not its table.

    A process that is given is stopped by then, for the rest of a stage may take less time than the fault: `go_on`, or kill it.
    """

    def begun() -> bool:
        assert process is None or process.exitcode is None, f"it ended before {stage}"
        return bool(checkpoints(place.store, stage, batch))

    wait_for(f"the first checkpoint of {stage}", begun, every=0.002)
    if process is not None and process.pid is not None:
        os.kill(process.pid, signal.SIGSTOP)
    if place.store.exists(table_key(asset, batch)):
        if process is not None:
            process.kill()  # pytest would wait for it at its end
        raise AssertionError(f"{stage} was done before the fault")


def go_on(process: ForkServerProcess) -> None:
    """Let a process go on that was stopped in the middle of a stage."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
