"""Calls in a subprocess: results and errors are those of a call here, and what crashes, hangs or fills memory fails alone."""

import datetime
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common import limited_calls
from podcast_assets.common.errors import BadInput
from podcast_assets.common.limited_calls import Limit, LimitedCalls, Unreadable
from podcast_assets.common.worker_process import ProcessLost

NOTES = Limit("notes.txt", 30)


@dataclass(frozen=True)
class Counted:
    """What `count` finds."""

    letters: int
    at: datetime.datetime
    lines: tuple[str, ...]


def count(data: bytes, beside: Path, *, add: int) -> Counted:
    return Counted(
        len(data) + len(beside.read_text()) + add,
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        tuple(data.decode().splitlines()),
    )


def refuse(data: bytes) -> None:
    raise BadInput(f"{len(data)} bytes are too few")


def fail(path: Path) -> str:
    return path.read_text()


def end_by(name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


def hang() -> None:
    time.sleep(60)


def fail_unforeseen(text: str) -> int:
    return [][len(text)]


def fill() -> int:
    return len(bytearray(2 << 30))


def fill_rust() -> int:
    import polars as pl

    return pl.select(pl.int_range(0, 1 << 28, dtype=pl.Int64)).height


def answer_at_length(letters: int) -> str:
    return "x" * letters


def tell(numbers: Sequence[int], progress: Callable[[Any], None] = lambda at: None) -> int:
    for number in numbers:
        progress(number)
    return os.getpid()


@pytest.fixture(scope="module")
def calls() -> Iterator[LimitedCalls]:
    made = LimitedCalls(1 << 30)
    yield made
    made.processes.close()


def test_results_and_errors_are_those_of_a_call_here(calls: LimitedCalls, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.write_text("abc")
    assert calls.call(NOTES, count, b"one\ntwo", beside, add=1) == count(b"one\ntwo", beside, add=1)
    with pytest.raises(BadInput, match=r"^3 bytes are too few$"):
        calls.call(NOTES, refuse, b"abc")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        calls.call(NOTES, fail, tmp_path / "nowhere")


def test_one_process_does_many_and_says_how_far_it_is(calls: LimitedCalls) -> None:
    told: list[int] = []
    first = calls.call(Limit("notes.txt", 30, told.append), tell, [1, 2, 3])
    assert told == [1, 2, 3]
    assert calls.call(NOTES, tell, []) == first != os.getpid()


@pytest.mark.parametrize(
    ("function", "arguments", "match"),
    [
        (end_by, ("SIGSEGV",), r"notes\.txt cannot be read: it crashes its reader \(SIGSEGV\)"),
        (end_by, ("SIGABRT",), "it crashes its reader"),
        (fill, (), "it needs more than 1 GiB of memory"),
        (fill_rust, (), "it needs more than 1 GiB of memory"),
        (hang, (), "it takes more than 1 s"),
        (fail_unforeseen, ("abc",), "IndexError: list index out of range"),
    ],
)
def test_what_stops_its_reader_is_unreadable(
    calls: LimitedCalls, function: Callable[..., Any], arguments: tuple[Any, ...], match: str
) -> None:
    with pytest.raises(Unreadable, match=match):
        calls.call(Limit("notes.txt", 1 if function is hang else 30), function, *arguments)
    assert calls.call(NOTES, tell, []) != os.getpid(), "others are read as before"


def test_a_result_has_a_limit_too(calls: LimitedCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_calls, "LONGEST_RESULT", 1_000_000)
    assert len(calls.call(NOTES, answer_at_length, 900_000)) == 900_000
    with pytest.raises(Unreadable, match="more than 1 GiB"):
        calls.call(NOTES, answer_at_length, 1_100_000)


def test_a_process_that_is_killed_from_outside_is_no_fault_of_the_input(calls: LimitedCalls) -> None:
    with pytest.raises(ProcessLost, match=r"reads notes\.txt was killed \(SIGKILL\)"):
        calls.call(NOTES, end_by, "SIGKILL")
