"""Peer and ours in turn: CPU time of each round, and the ratio of each round, so that what else the machine does hits both."""

import statistics
import time
from collections.abc import Callable, Mapping


def rounds(candidates: Mapping[str, Callable[[], object]], count: int, audio_seconds: float) -> None:
    """Print a table of candidates, the first of which is the peer.

    Args:
        candidates: name → work; each is called once before it is measured.
        count: rounds.
        audio_seconds: what each call works on, s.
    """
    for work in candidates.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(count):
        for name, work in candidates.items():
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
    peer = next(iter(times.values()))
    print(f"| {count} rounds | CPU s, median | x real time | peer ÷ this, median | least |\n|---|---|---|---|---|")
    for name, each in times.items():
        ratios = [p / t for p, t in zip(peer, each, strict=True)]
        middle = statistics.median(each)
        print(
            f"| {name} | {middle:.2f} | {audio_seconds / middle:.1f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} |",
            flush=True,
        )
