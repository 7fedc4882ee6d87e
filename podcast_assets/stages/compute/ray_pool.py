"""Compute on a Ray cluster: a pool of actors, each with a loaded worker, that are handed episodes as they get hungry.

Ray places the actors and says which died. What is here is what a batch needs beside that: a bound for silence and for slow
episodes, the way back of what a lost worker had in hand, and the replacement of a worker whose device is broken. (Ray Data has none
of these: a block that a cut-off machine holds is waited for, for minutes, and results are given by the block.) Work items name
objects of the store. Audio never crosses the cluster: a worker reads it, and decodes it ahead in threads.
"""

import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podcast_assets.common import memory
from podcast_assets.common.errors import EngineUnavailable, is_device_error
from podcast_assets.config.settings import Settings
from podcast_assets.stages.compute.base import EpisodeOutcome, Place
from podcast_assets.stages.compute.device import DEVICE_ERRORS, BrokenDevice
from podcast_assets.stages.compute.ray_cluster import Pulse, connect, head_address
from podcast_assets.stages.compute.ray_worker import Report, StageWorker
from podcast_assets.stages.compute.workforce import Workforce, portion, wanted, workforce
from podcast_assets.stages.stage import Episode, EpisodeResult, Stage

WAIT_SECONDS = 2.0
"""A worker with nothing to tell answers after so long."""
SILENCE_SECONDS = 30.0
"""A worker that does not answer for so long is lost: dead, or cut off."""
START_SECONDS = 300.0
"""An actor that does not come up in so long is asked for anew. (Until a machine has room for it, that costs nothing.)"""
LOSSES = 2
"""An episode that was in the hands of so many lost workers may be what ends them: it is done alone, and then fails."""
REPLACEMENTS = 3
"""Workers replaced without a single episode done, after which it is no use to go on; or as many as a lost machine may have had."""

log = logging.getLogger(__name__)


class WorkerLost(RuntimeError):
    """The worker that had an episode in hand died, was cut off, or did not come to an end with it."""


@dataclass(eq=False)
class _Member:
    """A worker as the pool sees it."""

    actor: Any
    asked: float
    progress: float
    """When it last finished something, or began."""
    reply: Any = None
    """Of the call that is under way; None while it has no stream."""
    closing: bool = False
    """It was told that there are no more episodes."""
    answered: bool = False
    loaded: bool = False
    holding: dict[str, Episode] = field(default_factory=dict)
    suspects: list[EpisodeOutcome] = field(default_factory=list)
    """Episodes in a row that failed as if the device were broken: it may be theirs, or the device's."""
    place: Place | None = None

    def __str__(self) -> str:
        return f"worker {self.place.worker}" if self.place else "a worker that has not started"


class RayPool:
    """Actors with a stage's worker. Made by `ray_compute`."""

    def __init__(self, stage: Stage, force: Workforce, prefetch: int, timeout: float, pulse: Pulse) -> None:
        """No actor is started yet.

        Args:
            stage: whose workers they are.
            force: how many, and what each of them takes.
            prefetch: episodes that a worker prepares ahead.
            timeout: seconds that a worker may take without finishing an episode.
            pulse: of the cluster's head.
        """
        self._stage, self._force, self._prefetch, self._timeout = stage, force, prefetch, timeout
        self._members: list[_Member] = []
        self._losses: Counter[str] = Counter()
        self._in_vain = 0
        """Workers replaced since one finished an episode."""
        self._pulse = pulse
        self._warned = 0.0

    def stream(self, stage: Stage, episodes: Iterable[Episode]) -> Iterator[EpisodeOutcome]:
        """See `Compute.stream`.

        Raises:
            ClusterLost: the head of the cluster does not answer.
        """
        # the longest first: then none of them is begun when the others are done (Graham 1969)
        waiting = deque(sorted(episodes, key=lambda e: -e.seconds))
        self._losses.clear()
        while waiting or any(m.reply is not None for m in self._members):
            self._hire(waiting)
            for member in self._members:
                if member.reply is None and waiting:
                    member.closing = False
                    self._ask(member, stage)
            for member, report in self._reports():
                yield from self._take(member, report, waiting)
            yield from self._overdue(waiting)
            if not waiting and not any(m.holding for m in self._members):
                for late in [m for m in self._members if not m.loaded]:
                    self._dismiss(late)
            self._pulse.check()
        for member in self._members:
            yield from _emptied(member.suspects)

    def close(self) -> None:
        """End the actors. Without a head nobody could, and they end with this process."""
        for member in [] if self._pulse.lost else list(self._members):
            try:
                self._dismiss(member)
            except Exception as error:  # the connection is gone, and with it why: that must not hide behind this
                log.warning("%s: %s could not be ended: %s", self._stage.name, member, _line(error))

    def _hire(self, waiting: Sequence[Episode]) -> None:
        """Start the workers that the work is worth. They get episodes when they are up, wherever and whenever that is."""
        import ray

        held = sum(len(m.holding) for m in self._members)
        force = self._force
        missing = wanted(waiting, held, force) - len(self._members)
        if missing > 0:
            self._pulse.confirm()  # to ask for an actor waits for the head, until Ray ends this process
        for _ in range(missing):
            kind = ray.remote(StageWorker).options(
                num_cpus=force.cpus,
                num_gpus=force.gpus,
                max_restarts=0,
                runtime_env={"env_vars": dict(memory.ENVIRONMENT)},
            )
            # a new one proves itself where the one before it was replaced
            actor = kind.remote(
                self._stage,
                self._prefetch,
                max(1, int(force.cpus)),
                share_device=force.shares,
                smoke_test=self._in_vain > 0,
            )
            now = time.monotonic()
            self._members.append(_Member(actor, now, now))

    def _ask(self, member: _Member, stage: Stage | None = None, episodes: Sequence[Episode] = ()) -> None:
        """The next call of a worker; with a stage it begins a stream."""
        now = time.monotonic()
        if not member.holding:
            member.progress = now
        member.holding |= {e.episode_id: e for e in episodes}
        member.asked = now
        member.reply = member.actor.exchange.remote(stage, list(episodes), last=member.closing, wait=WAIT_SECONDS)

    def _reports(self) -> list[tuple[_Member, Report | Exception]]:
        """What workers have told by now; an error where one is gone."""
        import ray
        from ray.exceptions import RayError

        replies = {m.reply: m for m in self._members if m.reply is not None}
        if not replies:
            return []
        ready, _ = ray.wait(list(replies), num_returns=1, timeout=1.0)
        found: list[tuple[_Member, Report | Exception]] = []
        for reply in ready:
            try:
                found.append((replies[reply], ray.get(reply, timeout=SILENCE_SECONDS)))
            except RayError as error:
                found.append((replies[reply], error))
        return found

    def _take(self, member: _Member, report: Report | Exception, waiting: deque[Episode]) -> Iterator[EpisodeOutcome]:
        """Take a worker's report, and ask it on."""
        if isinstance(report, Exception):
            yield from self._lose(member, WorkerLost(f"{member} is gone: {_line(report)}"), waiting)
            return
        member.place = report.place
        for level, text in report.logs:
            log.log(level, "%s: %s", member, text)
        if not member.answered or (report.loaded and not member.loaded):
            member.progress = time.monotonic()
        member.answered, member.loaded = True, report.loaded
        for outcome in report.outcomes:
            yield from self._finish(member, outcome)
        if isinstance(report.error, EngineUnavailable):
            raise report.error
        if report.error is not None:
            self._replace(member, report.error, waiting)
        elif len(member.suspects) >= DEVICE_ERRORS:
            self._replace(member, _error(member.suspects[-1]), waiting)
        elif report.ended:
            member.reply = None
        elif report.hungry and not member.closing:
            given = portion(waiting, len(self._members))
            member.closing = not given
            self._ask(member, None, given)
        else:
            self._ask(member)

    def _finish(self, member: _Member, outcome: EpisodeOutcome) -> Iterator[EpisodeOutcome]:
        """An outcome, once it is clear that it is the episode's and not the device's."""
        del member.holding[outcome.result.episode.episode_id]
        member.progress = time.monotonic()
        error = outcome.result.rows
        if isinstance(error, Exception) and is_device_error(error):
            member.suspects.append(outcome)
            return
        if not isinstance(error, Exception):
            self._in_vain = 0
        yield from _emptied(member.suspects)
        yield outcome

    def _replace(self, member: _Member, error: Exception, waiting: deque[Episode]) -> None:
        """Put another worker in the place of one whose device looks broken. That costs its episodes nothing.

        Raises:
            BrokenDevice: its predecessors were replaced as well, and no episode was finished since.
        """
        log.warning("%s is replaced: %s", member, error)
        waiting.extendleft(member.holding.values())
        waiting.extendleft(o.result.episode for o in member.suspects)
        self._dismiss(member)
        self._count_in_vain(error)

    def _lose(
        self, member: _Member, why: WorkerLost, waiting: deque[Episode], *, again: bool = True
    ) -> Iterator[EpisodeOutcome]:
        """What a lost worker had in hand goes to others; an episode that several were lost with is given back with the error."""
        log.warning("%s: %s: %d episode(s) in hand", self._stage.name, why, len(member.holding))
        shared = len(member.holding) > 1
        place = member.place or Place("unknown", 0)
        waiting.extendleft(o.result.episode for o in member.suspects)
        self._dismiss(member)
        for episode in member.holding.values():
            self._losses[episode.episode_id] += 1
            if again and self._losses[episode.episode_id] < LOSSES:
                waiting.appendleft(episode)
            else:
                yield EpisodeOutcome(
                    EpisodeResult(episode, why), place, time.monotonic() - member.progress, shared=shared
                )
        if not member.loaded:
            self._count_in_vain(why)

    def _overdue(self, waiting: deque[Episode]) -> Iterator[EpisodeOutcome]:
        """Lose the workers that are silent or do not come to an end; ask anew for those that do not come up."""
        now = time.monotonic()
        for member in [m for m in self._members if m.reply is not None]:
            if not member.answered:
                if now - member.asked > START_SECONDS:
                    self._dismiss(member)
            elif now - member.asked > SILENCE_SECONDS + WAIT_SECONDS:
                lost = WorkerLost(
                    f"{member} has not answered for {SILENCE_SECONDS:g} s: it, or the network to it, is gone"
                )
                yield from self._lose(member, lost, waiting)
            elif now - member.progress > self._timeout and (member.holding or not member.loaded):
                what = "finished no episode" if member.loaded else "not loaded its model"
                lost = WorkerLost(f"{member} has {what} in {self._timeout:g} s (PODCAST_TIMEOUT)")
                yield from self._lose(member, lost, waiting, again=False)
        self._tell_waiting(now)

    def _tell_waiting(self, now: float) -> None:
        """Say what is waited for, where no worker has room."""
        late = [m for m in self._members if not m.answered and now - m.asked > SILENCE_SECONDS]
        if late and not any(m.answered for m in self._members) and now - self._warned > 60:
            self._warned = now
            log.warning(
                "%s: no machine of the cluster has room for a worker (%g CPU cores, %g GPUs): waiting",
                self._stage.name, self._force.cpus, self._force.gpus,
            )  # fmt: skip

    def _count_in_vain(self, error: Exception) -> None:
        self._in_vain += 1
        if self._in_vain > max(REPLACEMENTS, self._force.most):
            raise BrokenDevice(
                f"{self._stage.name}: {self._in_vain} workers in a row had to be replaced without an episode done, the last "
                f"with: {error}. Nothing is lost: look at the devices, then materialize again."
            ) from error

    def _dismiss(self, member: _Member) -> None:
        import ray

        self._members.remove(member)
        member.reply = None
        ray.kill(member.actor, no_restart=True)


@contextlib.contextmanager
def ray_compute(stage: Stage, settings: Settings) -> Iterator[RayPool]:
    """Workers on the cluster of the settings, which is connected to, or started, first.

    Raises:
        Misconfigured: Ray is not installed, or the cluster does not answer.
    """
    connect(settings)
    import ray

    force = workforce(stage, settings, ray.cluster_resources())
    pool = RayPool(stage, force, settings.prefetch, settings.timeout, Pulse(head_address(settings)))
    try:
        yield pool
    finally:
        pool.close()


def _error(outcome: EpisodeOutcome) -> Exception:
    error = outcome.result.rows
    return error if isinstance(error, Exception) else RuntimeError("no error")


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _emptied(outcomes: list[EpisodeOutcome]) -> list[EpisodeOutcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken
