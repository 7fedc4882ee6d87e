"""Results are saved in threads: in order, soon, and even when the work that follows fails."""

import threading
from collections.abc import Callable, Iterator

import pytest

from podcast_assets.stages import saving
from podcast_assets.stages.saving import WRITERS, save_in_threads

PATIENCE = 30.0


def test_each_item_comes_in_order_once_it_is_saved() -> None:
    saved: list[int] = []

    def items() -> Iterator[tuple[int, Callable[[], None] | None]]:
        for n in range(100):
            yield n, None if n % 7 == 0 else lambda n=n: saved.append(n)

    for count, item in enumerate(save_in_threads(items())):
        assert item == count
        assert item % 7 == 0 or item in saved
    assert sorted(saved) == [n for n in range(100) if n % 7]


def test_quick_results_are_saved_while_the_next_are_made() -> None:
    """All of them wait here until the last one that may be unsaved is made: one after the other, it never would be."""
    all_made = threading.Barrier(WRITERS, timeout=PATIENCE)
    found = save_in_threads((n, all_made.wait) for n in range(WRITERS))
    assert list(found) == list(range(WRITERS))


def test_a_slow_result_is_not_held_back_until_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_SLOW_SECONDS", -1.0)
    made: list[int] = []

    def items() -> Iterator[tuple[int, Callable[[], object]]]:
        for n in range(3):
            made.append(n)
            yield n, lambda: threading.Event().wait(0.05)

    for item in save_in_threads(items()):
        assert made[-1] == item


def test_what_was_made_before_an_error_is_saved() -> None:
    saved: list[int] = []

    def items() -> Iterator[tuple[int, Callable[[], None]]]:
        for n in range(5):
            yield n, lambda n=n: saved.append(n)
        raise RuntimeError("the work ends")

    with pytest.raises(RuntimeError, match="the work ends"):
        list(save_in_threads(items()))
    assert sorted(saved) == list(range(5))


def test_an_item_that_cannot_be_saved_ends_the_work() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        list(save_in_threads((n, fail if n == 3 else None) for n in range(1000)))


def test_no_thread_is_started_once_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory has run out meanwhile, the start of a thread would never return."""

    def items() -> Iterator[tuple[int, Callable[[], None]]]:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread is started"))
            for n in range(2 * WRITERS):
                yield n, lambda: None

    assert list(save_in_threads(items())) == list(range(2 * WRITERS))


def test_where_not_all_threads_can_be_started_the_work_ends_with_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that did start are not waited for in vain."""
    real, started = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            next(save_in_threads([(0, None)]))
    for thread in started:
        thread.join(PATIENCE)
        assert not thread.is_alive()
