"""Checkpoints are written in threads, because each waits for the disk or the network, while the next episodes are computed."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Item = TypeVar("Item")

WRITERS = 16
"""Checkpoints written at once, and results that are not saved yet, at most. A disk syncs 16 small files in little more time than
one."""
_SLOW_SECONDS = 0.25
"""Time between two results from which on each is saved before the next one is asked for: that costs little then, and people see
without delay what is done."""


def save_in_threads(items: Iterable[tuple[Item, Callable[[], object] | None]]) -> Generator[Item]:
    """Yield items in their order, each once it is saved. Close it where it may not be exhausted, see `prefetch_items`.

    Args:
        items: each with the function that saves it, or None where there is nothing to save. Taken one by one.

    Raises:
        Exception: an item could not be saved. As after any other error, those before it are saved.
    """
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="save") as pool:
        _start_threads(pool)
        waiting: deque[tuple[Item, Future[object] | None]] = deque()
        asked_at = time.monotonic()
        for item, save in items:
            waiting.append((item, pool.submit(save) if save else None))
            at_once = time.monotonic() - asked_at > _SLOW_SECONDS
            while waiting and (at_once or len(waiting) > WRITERS or _is_saved(waiting[0][1])):
                yield _saved(*waiting.popleft())
            asked_at = time.monotonic()
        while waiting:
            yield _saved(*waiting.popleft())


def _start_threads(pool: ThreadPoolExecutor) -> None:
    """Start all threads of a pool now: `Thread.start` waits for ever where no memory is left (CPython issue 140746)."""
    together = Barrier(WRITERS)
    try:
        for _ in range(WRITERS):
            pool.submit(together.wait)
    except BaseException:
        together.abort()
        raise


def _is_saved(future: Future[object] | None) -> bool:
    return future is None or future.done()


def _saved(item: Item, future: Future[object] | None) -> Item:
    if future is not None:
        future.result()
    return item
