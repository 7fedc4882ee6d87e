"""What benchmarks share: CPU time, wall time and peak memory, and tables that compare candidates in alternating rounds.

In alternating rounds other load affects all candidates; the ratio of each round counts.
"""

import gc
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

WHOLE = ("night-science.mp3", "city-music.m4a", "future-food.mp4", "water-history.opus")
"""Files of the sample batch that are not truncated."""


def cpu() -> float:
    """Return CPU seconds of this process and its finished children."""
    return sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def wall(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_memory(pid: int | str = "self") -> float:
    """Return the peak memory of a process in MB (Linux). `ru_maxrss` would start with that of the parent."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def compare(
    candidates: Mapping[str, Callable[[], object]], rounds: int, amount: float, unit: str, *, warm: bool = True
) -> None:
    """Print a table.

    Args:
        candidates: name → work; the first is the peer.
        rounds: number of calls of each candidate.
        amount: amount of work per call.
        unit: of the amount.
        warm: whether each is called once before it is measured.
    """
    for work in candidates.values() if warm else ():
        work()
    _print_table({name: lambda w=work: _timed(w) for name, work in candidates.items()}, rounds, amount, unit)


def compare_in_processes(
    builders: Mapping[str, Callable[[], Callable[[], object]]], rounds: int, amount: float, unit: str
) -> None:
    """As `compare`, with each candidate in a process of its own, called once before it is measured.

    Args:
        builders: name → function that prepares the work in its own process, before this process imports anything heavy.
        rounds: number of calls of each candidate.
        amount: amount of work per call.
        unit: of the amount.
    """
    fork = multiprocessing.get_context("fork")
    children = {}
    for name, build in builders.items():
        ours, theirs = fork.Pipe()
        process = fork.Process(target=_serve, args=(build, theirs), daemon=True)
        process.start()
        children[name] = process, ours
        ours.recv()  # it is built and has worked once

    def ask(pipe: Connection) -> tuple[float, float]:
        pipe.send(True)
        return pipe.recv()

    _print_table({name: lambda p=pipe: ask(p) for name, (_, pipe) in children.items()}, rounds, amount, unit)
    for process, pipe in children.values():
        pipe.send(False)
        process.join()


def _serve(build: Callable[[], Callable[[], object]], pipe: Connection) -> None:
    work = build()
    work()
    pipe.send(None)
    while pipe.recv():
        pipe.send(_timed(work))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds."""
    gc.collect()
    before = cpu()
    taken = wall(work)
    return cpu() - before, taken


def _print_table(
    candidates: Mapping[str, Callable[[], tuple[float, float]]], rounds: int, amount: float, unit: str
) -> None:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, timed in candidates.items():
            times[name].append(timed())
    peer = next(iter(times.values()))
    print(
        f"| {rounds} rounds | {unit} per CPU s | {unit} per s | peer ÷ this, CPU: median | least | wall: median | least |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, each in times.items():
        ratios = [[p[i] / t[i] for p, t in zip(peer, each, strict=True)] for i in (0, 1)]
        speeds = [amount / statistics.median(t[i] for t in each) for i in (0, 1)]
        cells = " | ".join(f"{statistics.median(r):.2f} | {min(r):.2f}" for r in ratios)
        print(f"| {name} | {_rounded(speeds[0])} | {_rounded(speeds[1])} | {cells} |", flush=True)


def _rounded(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.1f}"
