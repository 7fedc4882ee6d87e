"""Prepare items in threads, a bounded number ahead of the worker that takes them in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def prefetch_items(
    items: Iterable[Item],
    prepare: Callable[[Item], Prepared],
    ahead: int,
    *,
    size: Callable[[Item], float] = lambda item: 0.0,
    limit: float = 1.0,
) -> Iterator[tuple[Item, Future[Prepared]]]:
    """Yield each item with the future of its prepared value.

    Args:
        items: what to prepare; taken one by one, in order.
        prepare: called in a thread.
        ahead: items that wait beyond the one in hand, at most.
        size: of an item, in any unit.
        limit: sizes of those that wait, together, at most; a larger item waits alone.
    """
    with ThreadPoolExecutor(max_workers=ahead, thread_name_prefix="prefetch") as pool:
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
