"""Scaling of the worker pool: the same episodes by one worker and by two, each with one thread.

    python -m benchmarks.scaling [--minutes 40] [--rounds 3]

The stage `transcripts` with the miniature Whisper of the tests over its episodes, on a Ray of this machine (extra `ray`), one
core per worker; and, as what the pool is held against, in this process without Ray. Workers are up, with their model, before the
clock runs. Wall time, median of the rounds.
"""

import argparse
import os
import statistics
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measured import wall
from benchmarks.stage import fill
from podcast_assets.common import memory
from podcast_assets.config.settings import Settings
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.stages.compute.base import Compute
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.store import Store
from podcast_assets_tests import miniature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    memory.keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        episodes = fill(store, arguments.minutes)
        engine = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1)
        stage = Transcribe(store, RoutedEngine(routes=(Route(language="*", chain=(engine,)),)))
        places = {
            "no Ray": Settings(compute="local"),
            "Ray, 1 worker": Settings(compute="ray", min_workers=1, max_workers=1),
            "Ray, 2 workers": Settings(compute="ray", min_workers=2, max_workers=2),
        }
        walls = {
            name: measure(stage, store, episodes, settings, name, arguments.rounds) for name, settings in places.items()
        }
    seconds = sum(e.seconds for e in episodes)
    plain = walls["Ray, 1 worker"]
    print(f"\n{len(episodes)} episodes, {seconds / 60:.0f} min")
    print("| | wall s, median | x real time | as fast as one worker |\n|---|---|---|---|")
    for name, taken in walls.items():
        print(f"| {name} | {taken:.1f} | {seconds / taken:.0f} | {plain / taken:.2f} x |")


def measure(
    stage: Transcribe, store: Store, episodes: list[Episode], settings: Settings, name: str, rounds: int
) -> float:
    """Wall time of the stage on one place, median, s."""
    with computing(stage, settings) as compute:
        run(stage, store, episodes, f"{name}-warm", compute)
        times = [wall(lambda n=n: run(stage, store, episodes, f"{name}-{n}", compute)) for n in range(rounds)]
    print(f"{name}: {', '.join(f'{t:.1f}' for t in times)} s", flush=True)
    return statistics.median(times)


def run(stage: Transcribe, store: Store, episodes: list[Episode], batch: str, compute: Compute) -> None:
    result = run_stage(stage, batch.replace(" ", "-"), episodes, store, compute=compute)
    assert len(result.done) == len(episodes), result.failures
    result.commit(store, result.table())


if __name__ == "__main__":
    main()
