"""Streams of episodes through a stage's worker: it can fill its minibatches across episodes, and each has its own outcome."""

import contextlib
import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from podcast_assets.common.errors import BadInput, EngineUnavailable, is_device_error, is_store_trouble
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.common.prefetch import prefetch_items
from podcast_assets.stages.compute.base import Compute, EpisodeOutcome, Place
from podcast_assets.stages.episode_names import without_source
from podcast_assets.stages.stage import Episode, EpisodeResult, PreparedEpisode, Stage

PREFETCH_SECONDS = 2 * 3600.0
"""Audio of the episodes that are decoded ahead, at most: 230 MB as 16-bit samples."""
AT_ONCE_SECONDS = 600.0
"""Audio that the threads of a worker may have in hand before they take another episode: a long one needs memory, and its networks
keep several cores busy by themselves."""

_Prepared = tuple[PreparedEpisode, float]
"""An episode, and the seconds that its preparation took."""
_Ahead = Iterable[tuple[Episode, Future[tuple[Any, float]]]]
"""Episodes with what their preparation will give."""

log = logging.getLogger(__name__)


class NoProgress(RuntimeError):
    """A stage ended before it took any of the remaining episodes: it would do so again."""


def stream_with_retry(compute: Compute, stage: Stage, todo: Sequence[Episode]) -> Generator[EpisodeOutcome]:
    """Yield one outcome per episode: its rows or its error.

    An episode that failed, and not because of its data, is retried once at the end, prepared again and alone: a dropped
    connection or a full memory may pass, and an error that another episode caused does not come again.
    """
    again: list[Episode] = []
    for outcome in compute.stream(stage, todo):
        error = outcome.result.rows
        if isinstance(error, Exception) and _worth_retrying(outcome, error):
            episode = outcome.result.episode
            again.append(episode)
            log.info(
                "%s: %s: tried again after %s: %s",
                stage.name,
                episode.source,
                type(error).__name__,
                without_source(str(error), episode.source),
                extra={"episode": episode.source},
            )
        else:
            yield outcome
    for episode in again:
        yield from compute.stream(stage, [episode])


def _worth_retrying(outcome: EpisodeOutcome, error: Exception) -> bool:
    if outcome.result.retried or isinstance(error, (BadInput, EngineUnavailable)) or is_store_trouble(error):
        return False
    return outcome.shared or not is_device_error(error)


def process_prefetched(
    stage: Stage, worker: Any, episodes: Iterable[Episode], prefetch: int, place: Place, cores: int = 1
) -> Iterator[EpisodeOutcome]:
    """Process episodes with one worker, prepared ahead of it in threads; short ones on several cores if it is thread-safe.

    An episode that cannot be prepared fails and does not reach the worker. So does one that the worker took and never gave back.
    After an error that the stage raises, the remaining episodes are processed.

    Raises:
        EngineUnavailable: an engine cannot be loaded; that is no episode's error.
        NoProgress: the stage ended before it took any of the remaining episodes.
    """
    with contextlib.closing(
        prefetch_items(
            episodes,
            lambda e: _prepare_timed(stage, e),
            prefetch,
            size=lambda episode: episode.seconds,
            limit=PREFETCH_SECONDS,
        )
    ) as ahead:
        if cores > 1 and stage.is_thread_safe(worker):
            yield from _process_at_once(stage, worker, ahead, cores, place)
        else:
            yield from _process_ahead(stage, worker, ahead, place)


def _process_ahead(stage: Stage, worker: Any, ahead: _Ahead, place: Place) -> Iterator[EpisodeOutcome]:
    """Process episodes that are being prepared, see `process_prefetched`."""
    in_hand: dict[str, tuple[Episode, float]] = {}
    unprepared: list[EpisodeOutcome] = []
    source = _prepared_episodes(ahead, unprepared, place)
    for first in source:
        waiting, error = [first], None
        before = time.monotonic()
        try:
            for result in stage.process_all(worker, _hand_over(waiting, source, in_hand)):
                _, seconds = in_hand.pop(result.episode.episode_id)
                yield EpisodeOutcome(result, place, seconds + time.monotonic() - before)
                yield from _take_all(unprepared)
                before = time.monotonic()
        except EngineUnavailable:
            raise
        except Exception as raised:
            error = raised
        if waiting:
            why = f"raised {type(error).__name__}: {error}" if error else "ended"
            raise NoProgress(f"{stage.name} {why} before it took an episode") from error
        yield from _take_all(unprepared)
        lost = error or RuntimeError(f"{stage.name} gave nothing back for it")
        for episode, seconds in list(in_hand.values()):
            yield EpisodeOutcome(EpisodeResult(episode, lost), place, seconds, shared=len(in_hand) > 1)
        in_hand.clear()
    yield from _take_all(unprepared)


def _process_at_once(stage: Stage, worker: Any, ahead: _Ahead, cores: int, place: Place) -> Iterator[EpisodeOutcome]:
    """Process episodes that are being prepared, several at once, each in a thread."""
    unprepared: list[EpisodeOutcome] = []
    outcomes = run_in_threads(
        lambda item: _process_one(stage, worker, *item, place),
        _prepared_episodes(ahead, unprepared, place),
        cores,
        name=stage.name,
        size=lambda item: item[0].episode.seconds,
        limit=AT_ONCE_SECONDS,
    )
    with contextlib.closing(outcomes):
        for outcome in outcomes:
            yield outcome
            yield from _take_all(unprepared)
    yield from _take_all(unprepared)


def _prepared_episodes(ahead: _Ahead, unprepared: list[EpisodeOutcome], place: Place) -> Iterator[_Prepared]:
    """Yield the episodes that could be prepared, and add the others to `unprepared`."""
    for episode, future in ahead:
        try:
            prepared, seconds = future.result()
        except Exception as error:
            unprepared.append(EpisodeOutcome(EpisodeResult(episode, error), place))
        else:
            yield PreparedEpisode(episode, prepared), seconds


def _hand_over(
    waiting: list[_Prepared], source: Iterator[_Prepared], in_hand: dict[str, tuple[Episode, float]]
) -> Iterator[PreparedEpisode]:
    """Yield the episode that waits, then the others, and note in `in_hand` which were taken."""
    while found := waiting.pop() if waiting else next(source, None):
        item, seconds = found
        in_hand[item.episode.episode_id] = item.episode, seconds
        yield item


def process_on_cores(
    stage: Stage, worker: Any, episodes: Iterable[Episode], cores: int, place: Place
) -> Iterator[EpisodeOutcome]:
    """Process the episodes of a stage that is `cpu_bound`: one per core at once, each in a thread from beginning to end.

    Raises:
        EngineUnavailable: an engine cannot be loaded; that is no episode's error.
    """
    return run_in_threads(lambda e: _process_alone(stage, worker, e, place), episodes, cores, name=stage.name)


def _process_alone(stage: Stage, worker: Any, episode: Episode, place: Place) -> EpisodeOutcome:
    try:
        prepared, seconds = _prepare_timed(stage, episode)
    except EngineUnavailable:
        raise
    except Exception as error:
        return EpisodeOutcome(EpisodeResult(episode, error), place)
    return _process_one(stage, worker, PreparedEpisode(episode, prepared), seconds, place)


def _process_one(stage: Stage, worker: Any, item: PreparedEpisode, preparation: float, place: Place) -> EpisodeOutcome:
    """Process one episode.

    Args:
        stage: the stage.
        worker: its worker.
        item: the episode.
        preparation: seconds that its preparation took.
        place: where it is computed.

    Raises:
        EngineUnavailable: an engine cannot be loaded.
    """
    began = time.monotonic()
    try:
        (result,) = stage.process_all(worker, [item])
    except EngineUnavailable:
        raise
    except Exception as error:
        result = EpisodeResult(item.episode, error)
    return EpisodeOutcome(result, place, preparation + time.monotonic() - began)


def _take_all(outcomes: list[EpisodeOutcome]) -> list[EpisodeOutcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken


def _prepare_timed(stage: Stage, episode: Episode) -> tuple[Any, float]:
    began = time.monotonic()
    return stage.prepare(episode), time.monotonic() - began
