"""Cost of the time limit for episodes: a stage in this process, and in the child process that PODCAST_TIMEOUT takes.

    python -m benchmarks.child_process [--minutes 20] [--rounds 5]

The stage `transcripts` with the miniature Whisper of the tests, from nothing: each round loads the model. Wall and CPU time (this
process and its children), medians of the rounds, which alternate. What the child costs is the start of an interpreter with its
imports, once per stage and run; the difference does not grow with the audio.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measured import cpu
from benchmarks.stage import fill
from podcast_assets.common import memory
from podcast_assets.config.settings import Settings
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.store import Store
from podcast_assets_tests import miniature


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    memory.keep_freed_memory()
    places = {"in this process": Settings(), "in a child process": Settings(timeout=3600)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in places}
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        episodes = fill(store, arguments.minutes)
        engine = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1)
        stage = Transcribe(store, RoutedEngine(routes=(Route(language="*", chain=(engine,)),)))
        for number in range(arguments.rounds + 1):
            for name, settings in places.items():
                began, used = time.monotonic(), cpu()
                with computing(stage, settings) as compute:
                    result = run_stage(stage, f"{name}-{number}".replace(" ", "-"), episodes, store, compute=compute)
                assert len(result.done) == len(episodes), result.failures
                if number:  # the first round imports what this process needs too
                    times[name].append((time.monotonic() - began, cpu() - used))
    print(f"{len(episodes)} episodes, {sum(e.seconds for e in episodes) / 60:.0f} min")
    print("| | wall s | CPU s |\n|---|---|---|")
    for name, found in times.items():
        walls, cpus = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {name} | {walls:.2f} | {cpus:.2f} |")


if __name__ == "__main__":
    main()
