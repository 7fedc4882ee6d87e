"""Candidates in turn, the peer first: CPU and wall time of each round, and the ratio of each round."""

import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping


def cpu() -> float:
    """Return CPU seconds of this process and its finished children."""
    return sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


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
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            gc.collect()
            before = cpu(), time.perf_counter()
            work()
            times[name].append((cpu() - before[0], time.perf_counter() - before[1]))
    peer = next(iter(times.values()))
    print(
        f"| {rounds} rounds | {unit} per CPU s | {unit} per s | peer ÷ this, CPU: median | least | wall: median | least |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, each in times.items():
        ratios = [[p[i] / t[i] for p, t in zip(peer, each, strict=True)] for i in (0, 1)]
        speeds = [amount / statistics.median(t[i] for t in each) for i in (0, 1)]
        cells = " | ".join(f"{statistics.median(r):.2f} | {min(r):.2f}" for r in ratios)
        print(f"| {name} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {cells} |", flush=True)
