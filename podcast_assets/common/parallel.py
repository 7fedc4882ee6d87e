"""Run a function on many items in threads and yield results as they complete."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    name: str,
    on_abort: Callable[[], None] = lambda: None,
    size: Callable[[Item], float] = lambda item: 0.0,
    limit: float = math.inf,
) -> Generator[Result]:
    """Yield the result of each item as it completes, in any order.

    Args:
        function: called in a thread. An error that it raises is raised here, after the results already available.
        items: taken one by one: as many as there are threads, and one more, so that no thread waits for the caller.
        threads: maximum number of items processed at once.
        name: prefix of the threads' names.
        on_abort: called when the caller stops early or an error is raised, before the running threads are waited for.
        size: returns the size of an item, in any unit.
        limit: no other item is taken while those that were taken have this total size or more.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix=name) as pool:
        running: dict[Future[Result], float] = {}
        try:
            for item in items:
                running[pool.submit(function, item)] = size(item)
                while running and (len(running) > threads or sum(running.values()) >= limit):
                    yield from _completed_results(running)
            while running:
                yield from _completed_results(running)
        except BaseException:
            on_abort()
            raise
        finally:
            for future in running:
                future.cancel()


def _completed_results(running: dict[Future[Result], float]) -> Iterator[Result]:
    """Wait until a future is completed, and yield the results; those with an error come last."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        del running[future]
    for future in sorted(done, key=lambda f: f.exception() is not None):
        yield future.result()
