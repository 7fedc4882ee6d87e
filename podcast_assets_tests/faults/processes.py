"""Processes of the tests: started, watched until the moment of the fault, and never left behind."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from podcast_assets.store import table_key
from podcast_assets_tests import waiting
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.faults.made import checkpoints

PATIENCE = 240
"""Seconds after which a test gives up; nothing is measured by it."""
wait_for = partial(waiting.wait_for, patience=PATIENCE, every=0.2)


def started(place: Place, *arguments: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """`podcast-assets …` in the background; what it says goes to a file."""
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "podcast_assets.cli", *arguments],
            cwd=place.folder,
            env=place.environment(**environment),
            stdout=subprocess.DEVNULL,
            stderr=out,
        )


def in_the_middle(
    place: Place, stage: str, asset: str, batch: str = "sample", process: subprocess.Popen[bytes] | None = None
) -> None:
    """Return while a stage is at work: it has written a checkpoint, and not its table."""

    def begun() -> bool:
        assert process is None or process.poll() is None, f"it ended before {stage}"
        return bool(checkpoints(place.store, stage, batch))

    wait_for(f"the first checkpoint of {stage}", begun, every=0.005)
    assert not place.store.exists(table_key(asset, batch)), f"{stage} was done before the fault"
