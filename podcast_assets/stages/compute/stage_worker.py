"""One loaded worker of a stage in another process, which takes episodes and returns their outcomes: a Ray actor or a child process.

The work runs in a thread, and `exchange` hands episodes in and outcomes out. So every call is answered within seconds, and silence
of an actor means that it, its machine or the network is gone.
"""

import logging
import pickle
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from podcast_assets.stages.compute.base import EpisodeOutcome, Place
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.stage import Episode, EpisodeResult, Stage


class WorkerLost(RuntimeError):
    """The worker that had an episode in hand died, was disconnected, or did not finish it in time."""


@dataclass(frozen=True)
class WorkerReport:
    """State of a worker, and the outcomes since its last report."""

    place: Place
    outcomes: Sequence[EpisodeOutcome] = ()
    hungry: bool = False
    """It could take another episode now."""
    loaded: bool = False
    """Its model is loaded."""
    ended: bool = False
    """It has no episode in hand, and its stream has ended."""
    error: Exception | None = None
    """Why it cannot work: its model does not load, or fails its smoke test."""
    logs: Sequence[tuple[int, str]] = ()
    """Level and text of what was logged there."""


class StageWorker:
    """The worker. Its methods are called one after the other."""

    def __init__(
        self,
        stage: Stage,
        prefetch: int,
        cores: int,
        *,
        share_device: bool,
        smoke_test: bool,
        log_level: int = logging.INFO,
    ) -> None:
        """Load nothing yet.

        Args:
            stage: the stage whose worker it is.
            prefetch: episodes prepared ahead, in threads.
            cores: episodes processed at once, see `Local`.
            share_device: whether other actors may compute on the same GPU.
            smoke_test: whether the worker is tried before it gets an episode, because the one before it failed.
            log_level: least severe log records that are reported.
        """
        self._local = Local(stage, prefetch, cores=cores, share_device=share_device)
        self._smoke = smoke_test
        self._changed = threading.Condition()
        self._todo: deque[Episode] = deque()
        self._last = False
        self._hungry = self._loaded = False
        self._ended = True
        self._outcomes: list[EpisodeOutcome] = []
        self._error: Exception | None = None
        self._logs = _LogBuffer(log_level)
        logging.getLogger("podcast_assets").addHandler(self._logs)
        logging.getLogger("podcast_assets").setLevel(log_level)

    def exchange(self, stage: Stage | None, episodes: Sequence[Episode], *, last: bool, wait: float) -> WorkerReport:
        """Take episodes, and return the outcomes so far.

        Args:
            stage: begins a stream of this stage, once the one before has ended; None continues the current stream.
            episodes: episodes to process.
            last: whether no episodes follow, so that a minibatch need not wait to be full.
            wait: seconds to wait for something to report.
        """
        with self._changed:
            self._todo.extend(episodes)
            self._last = last
            self._hungry = self._hungry and not self._todo and not last
            if stage is not None:
                self._ended = False
                threading.Thread(target=self._run_stream, args=(stage,), name="stage", daemon=True).start()
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._outcomes or self._hungry or self._ended or self._error is not None, timeout=wait
            )
            outcomes, self._outcomes = self._outcomes, []
            return WorkerReport(
                self._local.place, outcomes, self._hungry, self._loaded, self._ended, self._error, self._logs.take_all()
            )

    def _run_stream(self, stage: Stage) -> None:
        try:
            worker = self._local.worker()
            if self._smoke and not self._loaded:
                stage.smoke_test(worker)
            with self._changed:
                self._loaded = True
            for outcome in self._local.stream(stage, self._handed_episodes()):
                with self._changed:
                    self._outcomes.append(make_portable(outcome))
                    self._changed.notify_all()
        except Exception as error:
            with self._changed:
                self._error = _portable_error(error)
                self._changed.notify_all()
        with self._changed:
            self._ended, self._hungry = True, False
            self._changed.notify_all()

    def _handed_episodes(self) -> Iterator[Episode]:
        while True:
            with self._changed:
                while not self._todo:
                    if self._last:
                        return
                    self._hungry = True
                    self._changed.notify_all()
                    self._changed.wait()
                episode = self._todo.popleft()
            yield episode


class _LogBuffer(logging.Handler):
    """Keeps log records until they are taken."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._lines: deque[tuple[int, str]] = deque(maxlen=1000)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append((record.levelno, record.getMessage()))

    def take_all(self) -> list[tuple[int, str]]:
        return [self._lines.popleft() for _ in range(len(self._lines))]


def make_portable(outcome: EpisodeOutcome) -> EpisodeOutcome:
    """Return the outcome in a form that can be pickled, with its error's traceback as text."""
    error = outcome.result.rows
    if not isinstance(error, Exception):
        return outcome
    text = "".join(traceback.format_exception(error))
    result = EpisodeResult(outcome.result.episode, _portable_error(error), outcome.result.fallback)
    return replace(outcome, result=result, traceback=text)


def _portable_error(error: Exception) -> Exception:
    """Return the error, or one with the same message where it cannot be pickled."""
    try:
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    except Exception as reason:
        logging.getLogger(__name__).debug("%s cannot be pickled: %s", type(error).__name__, reason)
    else:
        if type(copy) is type(error) and str(copy) == str(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")
