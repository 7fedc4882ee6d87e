"""Prepare episodes in threads, a bounded number ahead of the worker that takes them in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")


def prefetched(
    items: Iterable[Item], prepare: Callable[[Item], Prepared], ahead: int
) -> Iterator[tuple[Item, Future[Prepared]]]:
    """Each item with the future of what `prepare` makes of it; at most `ahead` items wait beyond the one in hand."""
    with ThreadPoolExecutor(max_workers=ahead, thread_name_prefix="prefetch") as pool:
        waiting: deque[tuple[Item, Future[Prepared]]] = deque()
        try:
            for item in items:
                waiting.append((item, pool.submit(prepare, item)))
                if len(waiting) > ahead:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()
