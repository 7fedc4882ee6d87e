"""Episodes through a stage's worker in one stream, so that it can fill its batches across them, and each with its own end."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from podcast_assets.common.errors import BadInput, EngineUnavailable, is_device_error, is_store_trouble
from podcast_assets.common.prefetch import prefetch_items
from podcast_assets.stages.compute.base import Compute, EpisodeOutcome, Place
from podcast_assets.stages.stage import Episode, EpisodeResult, PreparedEpisode, Stage

PREFETCH_SECONDS = 2 * 3600.0
"""Audio of the episodes that are decoded ahead, at most: 230 MB as 16-bit samples."""

_Prepared = tuple[PreparedEpisode, float]
"""An episode, and the seconds that its preparation took."""

log = logging.getLogger(__name__)


class NoProgress(RuntimeError):
    """A stage came to an end before it took any of the episodes that are left: it would do so again."""


def outcomes(compute: Compute, stage: Stage, todo: Sequence[Episode]) -> Iterator[EpisodeOutcome]:
    """Every episode once, with its rows or its error.

    What failed, and not because of its data, is tried once more at the end, prepared anew and alone: a dropped connection or a
    full memory may pass, and what another episode took down with it is then alone.
    """
    again: list[Episode] = []
    for outcome in compute.stream(stage, todo):
        error = outcome.result.rows
        if isinstance(error, Exception) and _may_pass(error, shared=outcome.shared):
            episode = outcome.result.episode
            again.append(episode)
            log.info(
                "%s: %s: tried again after %s: %s",
                stage.name,
                episode.source,
                type(error).__name__,
                error,
                extra={"episode": episode.source},
            )
        else:
            yield outcome
    for episode in again:
        yield from compute.stream(stage, [episode])


def _may_pass(error: Exception, *, shared: bool) -> bool:
    if isinstance(error, (BadInput, EngineUnavailable)) or is_store_trouble(error):
        return False
    return shared or not is_device_error(error)


def through(
    stage: Stage, worker: Any, episodes: Iterable[Episode], prefetch: int, place: Place
) -> Iterator[EpisodeOutcome]:
    """Episodes through a worker, prepared ahead of it in threads.

    What cannot be prepared does not reach it; what it loses is missed and told. After an error that is raised it goes on with the
    episodes that are left.

    Raises:
        EngineUnavailable: an engine cannot be loaded; that is no episode's error.
        NoProgress: the stage ended before it took any of the episodes that are left.
    """
    ahead = prefetch_items(
        episodes, lambda e: _timed(stage, e), prefetch, size=lambda episode: episode.seconds, limit=PREFETCH_SECONDS
    )
    in_hand: dict[str, tuple[Episode, float]] = {}
    unprepared: list[EpisodeOutcome] = []
    source = _ready(ahead, unprepared, place)
    for first in source:
        waiting, error = [first], None
        before = time.monotonic()
        try:
            for done in stage.process_all(worker, _handed(waiting, source, in_hand)):
                _, seconds = in_hand.pop(done.episode.episode_id)
                yield EpisodeOutcome(done, place, seconds + time.monotonic() - before)
                yield from _emptied(unprepared)
                before = time.monotonic()
        except EngineUnavailable:
            raise
        except Exception as raised:
            error = raised
        if waiting:
            why = f"raised {type(error).__name__}: {error}" if error else "ended"
            raise NoProgress(f"{stage.name} {why} before it took an episode") from error
        yield from _emptied(unprepared)
        lost = error or RuntimeError(f"{stage.name} gave nothing back for it")
        for episode, seconds in list(in_hand.values()):
            yield EpisodeOutcome(EpisodeResult(episode, lost), place, seconds, shared=len(in_hand) > 1)
        in_hand.clear()
    yield from _emptied(unprepared)


def _ready(
    ahead: Iterable[tuple[Episode, Future[tuple[Any, float]]]], unprepared: list[EpisodeOutcome], place: Place
) -> Iterator[_Prepared]:
    for episode, future in ahead:
        try:
            made, seconds = future.result()
        except Exception as error:
            unprepared.append(EpisodeOutcome(EpisodeResult(episode, error), place))
        else:
            yield PreparedEpisode(episode, made), seconds


def _handed(
    waiting: list[_Prepared], source: Iterator[_Prepared], in_hand: dict[str, tuple[Episode, float]]
) -> Iterator[PreparedEpisode]:
    """The episode that waits, then the others; what is taken is in hand."""
    while found := waiting.pop() if waiting else next(source, None):
        ready, seconds = found
        in_hand[ready.episode.episode_id] = ready.episode, seconds
        yield ready


def side_by_side(
    stage: Stage, worker: Any, episodes: Iterable[Episode], cores: int, place: Place
) -> Iterator[EpisodeOutcome]:
    """Episodes of a stage that is `cpu_bound`: as many at once as there are cores, each in a thread from beginning to end.

    Raises:
        EngineUnavailable: an engine cannot be loaded; that is no episode's error.
    """
    with ThreadPoolExecutor(cores, thread_name_prefix=stage.name) as pool:
        running: set[Future[EpisodeOutcome]] = set()
        try:
            for episode in episodes:
                running.add(pool.submit(_alone, stage, worker, episode, place))
                if len(running) > cores:  # one waits, so that no core does while a result is written down
                    yield from _completed(running)
            while running:
                yield from _completed(running)
        finally:
            for future in running:
                future.cancel()


def _completed(running: set[Future[EpisodeOutcome]]) -> Iterator[EpisodeOutcome]:
    """What is done of the running ones, once one is; an error that ends the stage comes after the others' results."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= done
    for future in sorted(done, key=lambda f: f.exception() is not None):
        yield future.result()


def _alone(stage: Stage, worker: Any, episode: Episode, place: Place) -> EpisodeOutcome:
    began = time.monotonic()
    try:
        (done,) = stage.process_all(worker, [PreparedEpisode(episode, stage.prepare(episode))])
    except EngineUnavailable:
        raise
    except Exception as error:
        done = EpisodeResult(episode, error)
    return EpisodeOutcome(done, place, time.monotonic() - began)


def _emptied(outcomes: list[EpisodeOutcome]) -> list[EpisodeOutcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken


def _timed(stage: Stage, episode: Episode) -> tuple[Any, float]:
    began = time.monotonic()
    return stage.prepare(episode), time.monotonic() - began
