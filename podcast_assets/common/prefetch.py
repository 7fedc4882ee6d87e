"""Prepare a bounded number of items in threads, ahead of the worker that consumes them in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def prefetch_items(
    items: Iterable[Item],
    prepare: Callable[[Item], Prepared],
    ahead: int,
    *,
    threads: int | None = None,
    size: Callable[[Item], float] = lambda item: 0.0,
    limit: float = 1.0,
) -> Generator[tuple[Item, Future[Prepared]]]:
    """Yield each item with the future of its prepared value.

    Close the generator (`contextlib.closing`) wherever it may not be exhausted: the garbage collector would join its threads at any
    time, and deadlocks where it runs while another thread starts.

    Args:
        items: items to prepare, consumed one by one.
        prepare: function to call in a thread.
        ahead: maximum number of items to prepare beyond the one that was yielded.
        threads: number of items prepared at once, at most one more than `ahead`: the one that was yielded counts too. None for
            `ahead`.
        size: returns the size of an item, in any unit.
        limit: largest total size of the prepared items; a larger item is prepared alone.
    """
    with ThreadPoolExecutor(max_workers=threads or ahead, thread_name_prefix="prefetch") as pool:
        waiting: deque[tuple[Item, Future[Prepared]]] = deque()
        try:
            for item in items:
                while waiting and sum(size(i) for i, _ in waiting) + size(item) > limit:
                    yield waiting.popleft()
                waiting.append((item, pool.submit(prepare, item)))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()
