"""Commands that run beside a test and are disturbed in the middle of a stage."""

from functools import partial

from podcast_assets.store.store import table_key
from podcast_assets_tests import forked, stopping, waiting
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.faults.made import checkpoints
from podcast_assets_tests.forked import Child
from podcast_assets_tests.stopping import sitecustomize

PATIENCE = 600
"""Seconds after which a test gives up; nothing is measured by it."""
wait_for = partial(waiting.wait_for, patience=PATIENCE, every=0.2)


def started(
    place: Place, *arguments: str, stop_in: str | None = None, after: int = 1, batch: str = "sample", **environment: str
) -> Child:
    """Start `podcast-assets …` in the background.

    Args:
        place: where it runs.
        arguments: of the command.
        stop_in: a stage in whose middle the process suspends itself: `in_the_middle`.
        after: number of the stage's checkpoints before that.
        batch: whose stage it is.
        environment: variables beside the place's own.
    """
    if stop_in is not None:
        stopping.request_stop(place.folder, stop_in, batch, after)
    variables = place.environment(**stopping.environment(place.folder), **environment)
    return forked.start(_run_with_stops, *arguments, environment=variables, cwd=place.folder, pictures=True)


def in_the_middle(place: Place, stage: str, asset: str, pid: int, batch: str = "sample") -> None:
    """Wait until a process has stopped in the middle of a stage: it has written a checkpoint, and not its table."""
    stopping.wait_until_stopped(pid, f"the middle of {stage}", PATIENCE)
    assert checkpoints(place.store, stage, batch)
    assert not place.store.exists(table_key(asset, batch)), f"{stage} was done before the fault"


def _run_with_stops(*arguments: str) -> None:
    sitecustomize.install()
    forked.run_command(*arguments)
