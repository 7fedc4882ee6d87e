"""Comparison of candidates in alternating rounds: CPU time and ratio of each round, so that other load affects both sides."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection


def rounds(candidates: Mapping[str, Callable[[], object]], count: int, audio_seconds: float) -> None:
    """Print a table of candidates, the first of which is the peer.

    Args:
        candidates: name → work; each is called once before it is measured.
        count: rounds.
        audio_seconds: seconds of audio per call.
    """
    for work in candidates.values():
        work()
    _table({name: lambda w=work: _timed(w) for name, work in candidates.items()}, count, audio_seconds)


def rounds_in_processes(
    builders: Mapping[str, Callable[[], Callable[[], object]]], count: int, audio_seconds: float
) -> None:
    """As `rounds`, with each candidate in a process of its own.

    Args:
        builders: name → function that prepares the work in its own process, before this process imports anything heavy.
        count: rounds.
        audio_seconds: seconds of audio per call.
    """
    fork = multiprocessing.get_context("fork")
    children = {}
    for name, build in builders.items():
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_serve, args=(build, theirs), daemon=True)
        process.start()
        children[name] = process, ours
        ours.recv()  # it is built and has worked once

    def ask(pipe: Connection) -> float:
        pipe.send(True)
        return pipe.recv()

    _table({name: lambda p=pipe: ask(p) for name, (_, pipe) in children.items()}, count, audio_seconds)
    for process, pipe in children.values():
        pipe.send(False)
        process.join()


def _serve(build: Callable[[], Callable[[], object]], pipe: Connection) -> None:
    work = build()
    work()
    pipe.send(0.0)
    while pipe.recv():
        pipe.send(_timed(work))


def _timed(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def _table(candidates: Mapping[str, Callable[[], float]], count: int, audio_seconds: float) -> None:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(count):
        for name, timed in candidates.items():
            times[name].append(timed())
    peer = next(iter(times.values()))
    print(f"| {count} rounds | CPU s, median | x real time | peer ÷ this, median | least |\n|---|---|---|---|---|")
    for name, each in times.items():
        ratios = [p / t for p, t in zip(peer, each, strict=True)]
        middle = statistics.median(each)
        print(
            f"| {name} | {middle:.2f} | {audio_seconds / middle:.1f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} |",
            flush=True,
        )
