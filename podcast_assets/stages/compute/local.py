"""Compute in this process: one worker with episodes prepared ahead in threads, or one core per episode."""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from podcast_assets.common.cores import available_cores
from podcast_assets.common.own_address import own_address
from podcast_assets.engines.gpus import physical_index
from podcast_assets.stages.compute.base import EpisodeOutcome, Place
from podcast_assets.stages.compute.device import hold_device
from podcast_assets.stages.compute.stream import process_on_cores, process_prefetched
from podcast_assets.stages.requirements import devices
from podcast_assets.stages.stage import Episode, Stage

log = logging.getLogger(__name__)


class Local:
    """A worker that is loaded once, when the first episode needs it, and holds its device until it is closed."""

    def __init__(
        self,
        stage: Stage,
        prefetch: int,
        *,
        cores: int | None = None,
        share_device: bool = False,
        loaded: Any = None,
    ) -> None:
        """Load nothing yet.

        Args:
            stage: the stage whose worker it is.
            prefetch: episodes prepared ahead in threads.
            cores: episodes processed at once, of a stage that is `cpu_bound` or has a thread-safe worker; None for one per core
                that this process may use.
            share_device: whether other workers may compute on the same GPU; the caller counts how many fit.
            loaded: a worker that is loaded already.
        """
        self._stage = stage
        self._prefetch = prefetch
        self._cores = cores or available_cores()
        self._share = share_device
        self._held = contextlib.ExitStack()
        self._loaded: list[Any] = [] if loaded is None else [loaded]
        self.place = Place(socket.gethostname(), os.getpid(), address=own_address())

    def worker(self) -> Any:
        """Return the worker, loaded on first use.

        Raises:
            EngineUnavailable: the engine or its model cannot be loaded here.
        """
        if not self._loaded:
            usable = devices(self._stage.engine)
            device = self._held.enter_context(hold_device(usable, share=self._share))
            began = time.monotonic()
            self._loaded.append(self._stage.load(device))
            log.debug("%s: loaded on %s in %.1f s", self._stage.name, device or "the CPU", time.monotonic() - began)
            gpu = physical_index(device.removeprefix("cuda:")) if device else None
            self.place = replace(self.place, gpu=gpu)
        return self._loaded[0]

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """See `Compute.stream`."""
        worker = self.worker()
        if stage.cpu_bound:
            return process_on_cores(stage, worker, episodes, self._cores, self.place)
        return process_prefetched(stage, worker, episodes, self._prefetch, self.place, self._cores)

    def close(self) -> None:
        """Drop the worker and release the device."""
        self._loaded.clear()
        self._held.close()


@contextlib.contextmanager
def local_compute(stage: Stage, prefetch: int) -> Iterator[Local]:
    """Provide a worker of this process, and release its device at the end."""
    local = Local(stage, prefetch)
    try:
        yield local
    finally:
        local.close()
