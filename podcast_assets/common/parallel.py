"""Run a function on many items in threads and yield results as they complete."""

from collections.abc import Callable, Iterable, Iterator
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
) -> Iterator[Result]:
    """Yield the result of each item as it completes, in any order.

    Args:
        function: called in a thread. An error that it raises is raised here, after the results already available.
        items: taken one by one: as many as there are threads, and one more, so that no thread waits for the caller.
        threads: maximum number of items processed at once.
        name: prefix of the threads' names.
        on_abort: called when the caller stops early or an error is raised, before the running threads are waited for.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix=name) as pool:
        running: set[Future[Result]] = set()
        try:
            for item in items:
                running.add(pool.submit(function, item))
                if len(running) > threads:
                    yield from _completed_results(running)
            while running:
                yield from _completed_results(running)
        except BaseException:
            on_abort()
            raise
        finally:
            for future in running:
                future.cancel()


def _completed_results(running: set[Future[Result]]) -> Iterator[Result]:
    """Wait until a future is completed, and yield the results; those with an error come last."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= done
    for future in sorted(done, key=lambda f: f.exception() is not None):
        yield future.result()
