"""Processes of the tests: started, watched until the moment of the fault, and never left behind."""

import os
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from podcast_assets.store import table_key
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
    """How a process ended; None where it has not in time."""
    process.join(PATIENCE)
    return process.exitcode


def in_the_middle(
    place: Place, stage: str, asset: str, batch: str = "sample", process: ForkServerProcess | None = None
) -> None:
    """Return while a stage is at work: it has written a checkpoint, and not its table."""

    def begun() -> bool:
        assert process is None or process.exitcode is None, f"it ended before {stage}"
        return bool(checkpoints(place.store, stage, batch))

    wait_for(f"the first checkpoint of {stage}", begun, every=0.005)
    assert not place.store.exists(table_key(asset, batch)), f"{stage} was done before the fault"
