"""A stage's worker: loaded once, when the first episode needs it, and holding its device until the run is done with it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from podcast_assets.stages.device import hold_device
from podcast_assets.stages.stage import Stage


@contextlib.contextmanager
def stage_worker(stage: Stage) -> Iterator[Callable[[], Any]]:
    """Gives a function that loads the worker at its first call and gives the same one from then on, whatever the batch."""
    loaded: list[Any] = []
    with contextlib.ExitStack() as stack:

        def worker() -> Any:
            if not loaded:
                device = stack.enter_context(hold_device(stage.engine.devices() if stage.engine else []))
                loaded.append(stage.load(device))
            return loaded[0]

        yield worker
