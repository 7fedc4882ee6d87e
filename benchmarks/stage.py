"""Overhead of the stage runner over the model: reading, features, checkpoints; and how much of it overlaps with a fast model.

    python -m benchmarks.stage [--minutes 60] [--rounds 5]

1. The stage `transcripts` over episodes of the store, against the same loaded model on audio that is already decoded: CPU
   seconds.
2. The same stage with a simulated GPU: in place of the network it sleeps for the audio's length over --speeds. Wall time against
   the longer of what the CPU alone takes (the network taking no time) and what the simulated GPU sleeps.

The model is the miniature Whisper of the tests. Episodes are those of its batch, again and again under other names. A model is
loaded once.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measured import WHOLE
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.transcribers.faster_whisper import model as whisper
from podcast_assets.speech.transcribers.faster_whisper.decoding import Decoded
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.speech.types import Turn
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.diarize import segment_rows
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.stages.transcribe import Transcribe, to_speech
from podcast_assets.store.store import Store, working_key
from podcast_assets_tests import miniature

BATCH_SIZE = 16
"""Windows, as on a GPU of 8 GB."""
LOADS: list[str] = []


class Counted(FasterWhisper):
    """The engine, counting how often it is loaded."""

    def load(self, device: str | None = None) -> Any:
        LOADS.append(self.model)
        return super().load(device)


def fill(store: Store, minutes: float) -> list[Episode]:
    """Working audio and episodes of that length in all."""
    found: list[Episode] = []
    seconds = 0.0
    lengths: dict[str, float] = {}
    while seconds < minutes * 60:
        for file in WHOLE:
            key = working_key(Path(file).stem * 4)
            if file not in lengths:
                with store.writing(key) as target:
                    lengths[file] = make_working_audio(miniature.BATCH / file, target).duration
            name = f"{Path(file).stem}-{len(found):04d}"
            bare = Episode(name, name, lengths[file])
            turns = [Turn(t["start"], t["end"], t["speaker"]) for t in miniature.load_reference(Path(file).stem)]
            segments = segment_rows(bare, turns, []).select("segment_id", "start", "end", "speaker")
            inputs = {"working": key, "segments": segments, "language": "en", "hints": None}
            found.append(Episode(name, name, lengths[file], inputs))
            seconds += lengths[file]
    return found


def stage(store: Store, engine: RoutedEngine, episodes: list[Episode], batch: str, loaded: Any) -> None:
    work = Transcribe(store, engine)
    result = run_stage(work, batch, episodes, store, compute=Local(work, 2, loaded=loaded))
    assert len(result.done) == len(episodes), result.failures
    result.commit(store, result.table())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--speeds", type=float, nargs="*", default=[200, 600])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        episodes = fill(store, arguments.minutes)
        seconds = sum(e.seconds for e in episodes)
        print(f"{len(episodes)} episodes, {seconds / 60:.0f} min\n")
        engine = RoutedEngine(
            routes=(
                Route(
                    language="*",
                    chain=(Counted(**miniature.TRANSCRIBER, device="cpu", threads=1, batch_size=BATCH_SIZE),),
                ),
            )
        )
        loaded = engine.load()
        added(store, engine, loaded, episodes, arguments.rounds)
        print(f"\nthe model was loaded {len(LOADS)} time(s)\n")
        for speed in arguments.speeds:
            hidden(store, engine, loaded, episodes, speed)


def added(store: Store, engine: RoutedEngine, loaded: Any, episodes: list[Episode], rounds: int) -> None:
    transcribe = Transcribe(store, engine)
    decoded = [to_speech(e, transcribe.prepare(e)) for e in episodes]
    list(loaded.transcribe(decoded[:4]))
    times: dict[str, list[float]] = {"model alone": [], "stage": []}
    for i in range(rounds):
        for name, work in (
            ("model alone", lambda: list(loaded.transcribe(decoded))),
            ("stage", lambda i=i: stage(store, engine, episodes, f"round-{i}", loaded)),
        ):
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
            print(f"{name}: {times[name][-1]:.1f} CPU s", flush=True)
    ratios = [s / m for s, m in zip(times["stage"], times["model alone"], strict=True)]
    print(f"stage ÷ model on decoded audio: median {statistics.median(ratios):.3f}, most {max(ratios):.3f}")


def hidden(store: Store, engine: RoutedEngine, loaded: Any, episodes: list[Episode], speed: float) -> None:
    real = whisper.decode
    slept, pace = 0.0, float("inf")

    def simulated(model: Any, features: Any, prompts: Any, tokenizer: Any, search: Any, lengths: Any) -> Any:
        nonlocal slept
        begin = time.monotonic()
        time.sleep(sum(lengths) / pace)
        slept += time.monotonic() - begin
        return [(Decoded([], "", -0.1, 0.0, 0.0), []) for _ in lengths]

    try:
        whisper.decode = simulated  # type: ignore[assignment]
        walls = {}
        for name in ("no time", "simulated"):
            pace = speed if name == "simulated" else float("inf")
            slept = 0.0
            begin = time.monotonic()
            stage(store, engine, episodes, f"gpu-{speed:g}-{name.replace(' ', '-')}", loaded)
            walls[name] = time.monotonic() - begin
    finally:
        whisper.decode = real
    bound = max(walls["no time"], slept)
    print(
        f"simulated GPU at {speed:g} x: wall {walls['simulated']:.2f} s; CPU alone {walls['no time']:.2f} s, GPU {slept:.2f} s; "
        f"wall ÷ the longer {walls['simulated'] / bound:.3f}; GPU busy {slept / walls['simulated']:.0%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
