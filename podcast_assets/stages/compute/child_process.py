"""Compute in a child process, which is ended and replaced if an episode takes longer than PODCAST_TIMEOUT, or crashes it.

Nothing can stop a thread that hangs in a library, so a time limit takes a process. It costs the start of an interpreter per stage
(`benchmarks/child_process.py` measures it). An episode that hangs fails as on Ray: those in hand at that time are tried once more,
each alone.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from podcast_assets.common import memory
from podcast_assets.stages.compute.base import EpisodeOutcome, Place
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.compute.stage_worker import WorkerLost, WorkerReport
from podcast_assets.stages.stage import Episode, EpisodeResult, Stage

START_FAILURES = 3
"""Processes in a row that end before their model is loaded, after which the stage gives up."""
END_SECONDS = 5.0
WAIT_SECONDS = 1.0
"""A worker with nothing to report answers after this time."""

log = logging.getLogger(__name__)


@dataclass
class _Work:
    """What a stream has handed to its process."""

    waiting: deque[Episode]
    holding: dict[str, Episode] = field(default_factory=dict)
    progress: float = 0.0
    """When it last finished an episode, or got the first one."""
    closing: bool = False
    """It knows that there are no more episodes."""

    def take_next(self) -> list[Episode]:
        """Take the next episode for the process; none where there are no more."""
        taken = [self.waiting.popleft()] if self.waiting else []
        if not self.holding:
            self.progress = time.monotonic()
        self.holding |= {e.episode_id: e for e in taken}
        self.closing = not taken
        return taken


class ChildCompute:
    """A worker in a child process, started when the first episode needs it. Create it with `child_compute`."""

    def __init__(self, stage: Stage, prefetch: int, timeout: float) -> None:
        """Start no process yet.

        Args:
            stage: the stage whose worker it is.
            prefetch: episodes prepared ahead in threads.
            timeout: seconds that the worker may take without finishing an episode. Loading a model is not limited, because it may
                wait for a device that another run holds.
        """
        self._stage, self._prefetch, self._timeout = stage, prefetch, timeout
        self._process: _Process | None = None
        self._loaded = False
        self._failed_starts = 0

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """See `Compute.stream`."""
        waiting = deque(episodes)
        while waiting:
            yield from self._stream_once(stage, _Work(waiting))

    def close(self) -> None:
        """End the process, even in the middle of an episode, and release its device."""
        if self._process is not None:
            self._process.end()
        self._process, self._loaded = None, False

    def _stream_once(self, stage: Stage, work: _Work) -> Iterator[EpisodeOutcome]:
        """Yield outcomes until there are no more episodes, or the process is lost."""
        if self._process is None:
            self._process = _Process(self._stage, self._prefetch)
        process, begins, given = self._process, stage, list[Episode]()
        while True:
            try:
                limit = work.progress + self._timeout if work.holding and self._loaded else None
                report = process.exchange(begins, given, last=work.closing, until=limit)
            except WorkerLost as error:
                yield from self._lose(process, error, work)
                return
            begins, given = None, []
            for level, text in report.logs:
                log.log(level, "%s", text)
            if report.loaded and not self._loaded:
                self._loaded, self._failed_starts, work.progress = True, 0, time.monotonic()
            for outcome in report.outcomes:
                del work.holding[outcome.result.episode.episode_id]
                work.progress = time.monotonic()
                yield outcome
            if report.error is not None:
                raise report.error
            if report.ended:
                return
            if report.hungry and not work.closing:
                given = work.take_next()

    def _lose(self, process: "_Process", error: WorkerLost, work: _Work) -> Iterator[EpisodeOutcome]:
        """Yield failures of the episodes that a lost process had in hand.

        Raises:
            BrokenDevice: several processes in a row ended before their model was loaded.
        """
        log.warning("%s: %s; %d in hand, a new process is started", self._stage.name, error, len(work.holding))
        if not self._loaded:
            self._failed_starts += 1
            if self._failed_starts >= START_FAILURES:
                raise BrokenDevice(
                    f"{self._stage.name}: {self._failed_starts} processes in a row ended while the model was loaded, the last "
                    f"with: {error}. Finished episodes are kept: check the device and the memory, then materialize again."
                ) from error
        self.close()
        seconds, place = time.monotonic() - work.progress, Place(socket.gethostname(), process.pid)
        for episode in work.holding.values():
            yield EpisodeOutcome(EpisodeResult(episode, error), place, seconds, shared=len(work.holding) > 1)
        work.holding.clear()


class _Process:
    """A process that runs `child_worker`, with one loaded worker."""

    def __init__(self, stage: Stage, prefetch: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - a module of this package
                [sys.executable, "-m", "podcast_assets.stages.compute.child_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # where this process found its modules, the child finds them
                env={**os.environ, **memory.ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._connection = Connection(ours.detach())
        self.end = weakref.finalize(self, _end, self._process, self._connection)
        self._send((stage, prefetch, log.getEffectiveLevel()))

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def exchange(
        self, stage: Stage | None, episodes: Sequence[Episode], *, last: bool, until: float | None
    ) -> WorkerReport:
        """Hand over episodes, and return the worker's report; see `StageWorker.exchange`.

        Args:
            stage: begins a stream of this stage.
            episodes: episodes to process.
            last: whether no episodes follow.
            until: when the process must have finished an episode, on the monotonic clock; None for no limit.

        Raises:
            WorkerLost: it is over time, or the process ended.
        """
        wait = WAIT_SECONDS if until is None else max(0.0, min(WAIT_SECONDS, until - time.monotonic()))
        self._send((stage, list(episodes), last, wait))
        try:
            while not self._connection.poll(WAIT_SECONDS):
                _refuse_late(until)  # it holds the interpreter's lock, or is suspended
            report: WorkerReport = self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise self._death() from error
        if not report.outcomes:
            _refuse_late(until)
        return report

    def _send(self, message: Any) -> None:
        try:
            self._connection.send(message)
        except ConnectionError as error:
            raise self._death() from error

    def _death(self) -> WorkerLost:
        code = self._process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return WorkerLost(f"the process that computes it {how}")


def _refuse_late(until: float | None) -> None:
    if until is not None and time.monotonic() > until:
        raise WorkerLost("no episode was finished within the time limit (PODCAST_TIMEOUT), and the process is ended")


def _end(process: "subprocess.Popen[bytes]", connection: Connection) -> None:
    process.kill()
    process.wait(END_SECONDS)
    connection.close()


@contextlib.contextmanager
def child_compute(stage: Stage, prefetch: int, timeout: float) -> Iterator[ChildCompute]:
    """Provide a worker in a child process, and end the process at the end; see `ChildCompute`."""
    compute = ChildCompute(stage, prefetch, timeout)
    try:
        yield compute
    finally:
        compute.close()
