"""Compute on a Ray cluster: a pool of actors, each with a loaded worker, that ask for episodes as they need them.

Ray places the actors and reports which died. This module adds what a batch needs: limits on silence and on slow episodes, the
return of a lost worker's episodes to the queue, and the replacement of a worker whose device is broken. (Ray Data has none of
these: it waits minutes for a block that a disconnected machine holds, and returns results by the block.) Work items hold keys of
the store. Audio never crosses the cluster: a worker reads it, and decodes it ahead in threads.
"""

import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podcast_assets.common import memory
from podcast_assets.common.errors import EngineUnavailable, first_line, is_device_error
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.base import EpisodeOutcome, Place
from podcast_assets.stages.compute.device import DEVICE_ERRORS, BrokenDevice
from podcast_assets.stages.compute.ray_cluster import Pulse, connect, head_address
from podcast_assets.stages.compute.ray_nodes import placement_options
from podcast_assets.stages.compute.stage_worker import StageWorker, WorkerLost, WorkerReport
from podcast_assets.stages.compute.workforce import Workforce, take_portion, workers_worth_starting, workforce
from podcast_assets.stages.stage import Episode, EpisodeResult, Stage

WAIT_SECONDS = 2.0
"""A worker with nothing to report answers after this time."""
SILENCE_SECONDS = 30.0
"""A worker that does not answer within this time is lost: dead, or disconnected."""
START_SECONDS = 300.0
"""An actor that does not start within this time is requested again. (Until a machine has room for it, that costs nothing.)"""
LOSSES = 2
"""An episode that this many lost workers had in hand may be what kills them: it is processed alone, and then fails."""
TIMEOUT_SECONDS = 7200.0
"""Limit for an episode where PODCAST_TIMEOUT is unset: a worker on another machine that hangs is watched by nobody."""
REPLACEMENTS = 3
"""Replacements without a finished episode after which the stage gives up; more where a lost machine may have had more workers."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _PoolWorker:
    """A worker as the pool sees it."""

    actor: Any
    asked: float
    progress: float
    """When it last finished something, or started."""
    reply: Any = None
    """Pending reply of the current call; None while it has no stream."""
    closing: bool = False
    """It knows that there are no more episodes."""
    answered: bool = False
    loaded: bool = False
    holding: dict[str, Episode] = field(default_factory=dict)
    suspects: list[EpisodeOutcome] = field(default_factory=list)
    """Episodes in a row that failed as if the device were broken: the fault may be theirs or the device's."""
    place: Place | None = None

    def __str__(self) -> str:
        return f"worker {self.place.worker}" if self.place else "a worker that has not started"


class RayPool:
    """Actors with a stage's worker. Create it with `ray_compute`."""

    def __init__(self, stage: Stage, force: Workforce, prefetch: int, timeout: float, pulse: Pulse) -> None:
        """Start no actor yet.

        Args:
            stage: the stage whose workers they are.
            force: number and size of the workers.
            prefetch: episodes that a worker prepares ahead.
            timeout: seconds that a worker may take without finishing an episode.
            pulse: watches the cluster's head.
        """
        self._stage, self._force, self._prefetch, self._timeout = stage, force, prefetch, timeout
        self._members: list[_PoolWorker] = []
        self._losses: Counter[str] = Counter()
        self._replaced = 0
        """Workers replaced since the last finished episode."""
        self._pulse = pulse
        self._warned = 0.0

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """See `Compute.stream`.

        Raises:
            ClusterLost: the head of the cluster does not answer.
        """
        # longest first, so that no long episode starts when the others are done (Graham 1969)
        waiting = deque(sorted(episodes, key=lambda e: -e.seconds))
        self._losses.clear()
        while waiting or any(m.reply is not None for m in self._members):
            self._start_workers(waiting)
            for member in self._members:
                if member.reply is None and waiting:
                    member.closing = False
                    self._call(member, stage)
            for member, report in self._arrived_reports():
                yield from self._handle_report(member, report, waiting)
            yield from self._lose_overdue(waiting)
            if not waiting and not any(m.holding for m in self._members):
                for idle in [m for m in self._members if not m.loaded]:
                    self._stop_worker(idle)
            self._pulse.check()
        for member in self._members:
            yield from _take_all(member.suspects)

    def close(self) -> None:
        """Stop the actors. Without a head that is impossible, and they end with this process."""
        for member in [] if self._pulse.lost else list(self._members):
            try:
                self._stop_worker(member)
            except Exception as error:  # the connection is lost: this must not hide the error that says why
                log.warning("%s: %s could not be ended: %s", self._stage.name, member, first_line(error))

    def _start_workers(self, waiting: Sequence[Episode]) -> None:
        """Start as many workers as the episodes are worth. Each gets episodes once it is up."""
        import ray

        held = sum(len(m.holding) for m in self._members)
        force = self._force
        missing = workers_worth_starting(waiting, held, force) - len(self._members)
        if missing > 0:
            self._pulse.confirm()  # requesting an actor waits for the head, until Ray ends this process
        where = placement_options(self._stage, waiting) if missing > 0 else {}
        for _ in range(missing):
            kind = ray.remote(StageWorker).options(
                num_cpus=force.cpus,
                num_gpus=force.gpus,
                max_restarts=0,
                runtime_env={"env_vars": dict(memory.ENVIRONMENT)},
                **where,
            )
            # a replacement runs its smoke test first
            actor = kind.remote(
                self._stage,
                self._prefetch,
                max(1, int(force.cpus)),
                share_device=force.shares,
                smoke_test=self._replaced > 0,
                log_level=log.getEffectiveLevel(),
            )
            now = time.monotonic()
            self._members.append(_PoolWorker(actor, now, now))

    def _call(self, member: _PoolWorker, stage: Stage | None = None, episodes: Sequence[Episode] = ()) -> None:
        """Make the next call to a worker; with a stage it begins a stream."""
        now = time.monotonic()
        if not member.holding:
            member.progress = now
        member.holding |= {e.episode_id: e for e in episodes}
        member.asked = now
        member.reply = member.actor.exchange.remote(stage, list(episodes), last=member.closing, wait=WAIT_SECONDS)

    def _arrived_reports(self) -> list[tuple[_PoolWorker, WorkerReport | Exception]]:
        """Return the reports that have arrived; an error for a worker that is gone."""
        import ray
        from ray.exceptions import RayError

        replies = {m.reply: m for m in self._members if m.reply is not None}
        if not replies:
            return []
        ready, _ = ray.wait(list(replies), num_returns=1, timeout=1.0)
        found: list[tuple[_PoolWorker, WorkerReport | Exception]] = []
        for reply in ready:
            try:
                found.append((replies[reply], ray.get(reply, timeout=SILENCE_SECONDS)))
            except RayError as error:
                found.append((replies[reply], error))
        return found

    def _handle_report(
        self, member: _PoolWorker, report: WorkerReport | Exception, waiting: deque[Episode]
    ) -> Iterator[EpisodeOutcome]:
        """Handle a worker's report, and make the next call to it."""
        if isinstance(report, Exception):
            yield from self._lose_worker(member, WorkerLost(f"{member} is gone: {first_line(report)}"), waiting)
            return
        member.place = report.place
        for level, text in report.logs:
            log.log(level, "%s: %s", member, text)
        if not member.answered or (report.loaded and not member.loaded):
            member.progress = time.monotonic()
        member.answered, member.loaded = True, report.loaded
        for outcome in report.outcomes:
            yield from self._confirm_outcome(member, outcome)
        if isinstance(report.error, EngineUnavailable):
            raise report.error
        if report.error is not None:
            self._replace(member, report.error, waiting)
        elif len(member.suspects) >= DEVICE_ERRORS:
            self._replace(member, _last_error(member.suspects[-1]), waiting)
        elif report.ended:
            member.reply = None
        elif report.hungry and not member.closing:
            given = take_portion(waiting, len(self._members))
            member.closing = not given
            self._call(member, None, given)
        else:
            self._call(member)

    def _confirm_outcome(self, member: _PoolWorker, outcome: EpisodeOutcome) -> Iterator[EpisodeOutcome]:
        """Yield an outcome once it is clear that it is the episode's and not the device's."""
        del member.holding[outcome.result.episode.episode_id]
        member.progress = time.monotonic()
        error = outcome.result.rows
        if isinstance(error, Exception) and is_device_error(error):
            member.suspects.append(outcome)
            return
        if not isinstance(error, Exception):
            self._replaced = 0
        yield from _take_all(member.suspects)
        yield outcome

    def _replace(self, member: _PoolWorker, error: Exception, waiting: deque[Episode]) -> None:
        """Replace a worker whose device looks broken. Its episodes return to the queue, and no attempt is counted.

        Raises:
            BrokenDevice: too many workers were replaced without a finished episode in between.
        """
        log.warning("%s is replaced: %s", member, error)
        waiting.extendleft(member.holding.values())
        waiting.extendleft(o.result.episode for o in member.suspects)
        self._stop_worker(member)
        self._count_replacement(error)

    def _lose_worker(
        self, member: _PoolWorker, why: WorkerLost, waiting: deque[Episode], *, requeue: bool = True
    ) -> Iterator[EpisodeOutcome]:
        """Return a lost worker's episodes to the queue; an episode that several workers were lost with fails."""
        log.warning("%s: %s: %d episode(s) in hand", self._stage.name, why, len(member.holding))
        shared = len(member.holding) > 1
        place = member.place or Place("unknown", 0)
        waiting.extendleft(o.result.episode for o in member.suspects)
        self._stop_worker(member)
        for episode in member.holding.values():
            self._losses[episode.episode_id] += 1
            if requeue and self._losses[episode.episode_id] < LOSSES:
                waiting.appendleft(episode)
            else:
                yield EpisodeOutcome(
                    EpisodeResult(episode, why), place, time.monotonic() - member.progress, shared=shared
                )
        if not member.loaded:
            self._count_replacement(why)

    def _lose_overdue(self, waiting: deque[Episode]) -> Iterator[EpisodeOutcome]:
        """Give up workers that are silent or too slow; request those again that do not start."""
        now = time.monotonic()
        for member in [m for m in self._members if m.reply is not None]:
            if not member.answered:
                if now - member.asked > START_SECONDS:
                    self._stop_worker(member)
            elif now - member.asked > SILENCE_SECONDS + WAIT_SECONDS:
                lost = WorkerLost(
                    f"{member} has not answered for {SILENCE_SECONDS:g} s: it, or the network to it, is gone"
                )
                yield from self._lose_worker(member, lost, waiting)
            elif now - member.progress > self._timeout and (member.holding or not member.loaded):
                what = "finished no episode" if member.loaded else "not loaded its model"
                lost = WorkerLost(f"{member} has {what} in {self._timeout:g} s (PODCAST_TIMEOUT)")
                yield from self._lose_worker(member, lost, waiting, requeue=False)
        self._log_waiting(now)

    def _log_waiting(self, now: float) -> None:
        """Log that no machine has room for a worker, once a minute."""
        waiting_workers = [m for m in self._members if not m.answered and now - m.asked > SILENCE_SECONDS]
        if waiting_workers and not any(m.answered for m in self._members) and now - self._warned > 60:
            self._warned = now
            log.warning(
                "%s: no machine of the cluster has room for a worker (%g CPU cores, %g GPUs): waiting",
                self._stage.name, self._force.cpus, self._force.gpus,
            )  # fmt: skip

    def _count_replacement(self, error: Exception) -> None:
        self._replaced += 1
        if self._replaced > max(REPLACEMENTS, self._force.most):
            raise BrokenDevice(
                f"{self._stage.name}: {self._replaced} workers in a row had to be replaced without an episode done, the last "
                f"with: {error}. Finished episodes are kept: check the devices, then materialize again."
            ) from error

    def _stop_worker(self, member: _PoolWorker) -> None:
        import ray

        self._members.remove(member)
        member.reply = None
        ray.kill(member.actor, no_restart=True)


@contextlib.contextmanager
def ray_compute(stage: Stage, settings: Settings) -> Iterator[RayPool]:
    """Provide workers on the cluster of the settings, connected to or started first.

    Raises:
        Misconfigured: Ray is not installed, or the cluster does not answer.
    """
    connect(settings)
    import ray

    force = workforce(stage, settings, ray.cluster_resources())
    pool = RayPool(stage, force, settings.prefetch, settings.timeout or TIMEOUT_SECONDS, Pulse(head_address(settings)))
    try:
        yield pool
    finally:
        pool.close()


def _last_error(outcome: EpisodeOutcome) -> Exception:
    error = outcome.result.rows
    return error if isinstance(error, Exception) else RuntimeError("no error")


def _take_all(outcomes: list[EpisodeOutcome]) -> list[EpisodeOutcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken
