"""Episodes through a stage's worker in one stream, so that it can fill its batches across them, and each with its own end."""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from podcast_assets.errors import BadInput, looks_like_device_error, store_trouble
from podcast_assets.prefetch import prefetched
from podcast_assets.stages.compute import Compute, Outcome, Place
from podcast_assets.stages.stage import Done, Episode, Ready, Stage

PREFETCH_SECONDS = 2 * 3600.0
"""Audio of the episodes that are decoded ahead, at most: 230 MB as 16-bit samples."""

log = logging.getLogger(__name__)


def outcomes(compute: Compute, stage: Stage, todo: Sequence[Episode]) -> Iterator[Outcome]:
    """Every episode once, with its rows or its error.

    What failed, and not because of its data, is tried once more at the end, prepared anew and alone: a dropped connection or a
    full memory may pass, and what another episode took down with it is then alone.
    """
    again: list[Episode] = []
    for outcome in compute.stream(stage, todo):
        error = outcome.done.rows
        if isinstance(error, Exception) and _may_pass(error, shared=outcome.shared):
            episode = outcome.done.episode
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
    if isinstance(error, BadInput) or store_trouble(error):
        return False
    return shared or not looks_like_device_error(error)


def through(stage: Stage, worker: Any, episodes: Iterable[Episode], prefetch: int, place: Place) -> Iterator[Outcome]:
    """Episodes through a worker, prepared ahead of it in threads.

    What cannot be prepared does not reach it; what it loses is missed and told.
    """
    ahead = prefetched(
        episodes, lambda e: _timed(stage, e), prefetch, size=lambda episode: episode.seconds, limit=PREFETCH_SECONDS
    )
    in_hand: dict[str, tuple[Episode, float]] = {}
    unprepared: list[Outcome] = []
    source = _ready(ahead, in_hand, unprepared, place)
    while True:
        error: Exception | None = None
        before = time.monotonic()
        try:
            for done in stage.process_all(worker, source):
                _, seconds = in_hand.pop(done.episode.episode_id)
                yield Outcome(done, place, seconds + time.monotonic() - before)
                yield from _emptied(unprepared)
                before = time.monotonic()
        except Exception as raised:
            error = raised
        yield from _emptied(unprepared)
        lost = error or RuntimeError(f"{stage.name} gave nothing back for it")
        for episode, seconds in list(in_hand.values()):
            yield Outcome(Done(episode, lost), place, seconds, shared=len(in_hand) > 1)
        in_hand.clear()
        if error is None:
            return


def _ready(
    ahead: Iterable[tuple[Episode, Future[tuple[Any, float]]]],
    in_hand: dict[str, tuple[Episode, float]],
    unprepared: list[Outcome],
    place: Place,
) -> Iterator[Ready]:
    for episode, future in ahead:
        try:
            made, seconds = future.result()
        except Exception as error:
            unprepared.append(Outcome(Done(episode, error), place))
            continue
        in_hand[episode.episode_id] = episode, seconds
        yield Ready(episode, made)


def _emptied(outcomes: list[Outcome]) -> list[Outcome]:
    taken = outcomes.copy()
    outcomes.clear()
    return taken


def _timed(stage: Stage, episode: Episode) -> tuple[Any, float]:
    began = time.monotonic()
    return stage.prepare(episode), time.monotonic() - began
