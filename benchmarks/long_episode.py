"""One long episode through diarize and transcribe: peak memory and time of each stage, each in a fresh process.

    python -m benchmarks.long_episode [--hours 3]

The episode is the sample batch, again and again; the engines are those of the profile demo. The peak is that of the process
(VmHWM, Linux), models and libraries included, and beside it what is beyond a process that only loads the model. Every word's times
must lie inside its segment, and no segment may be longer than the window.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.measured import WHOLE, peak_memory
from podcast_assets import demo
from podcast_assets.audio.decode import decode
from podcast_assets.audio.working import write_working_audio
from podcast_assets.config.settings import Settings
from podcast_assets.defs.checks.tables import words_in_order
from podcast_assets.speech.segmentation import PRESETS
from podcast_assets.speech.types import SAMPLE_RATE
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.diarize import Diarize
from podcast_assets.stages.profiles import make_profile
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.schema import SEGMENTS
from podcast_assets.store.store import Store, table_key, working_key

KEY = working_key("long")


def make(store: Store, hours: float) -> None:
    tile = np.concatenate([decode(demo.BATCH / file) for file in WHOLE])
    count = int(np.ceil(hours * 3600 * SAMPLE_RATE / len(tile)))
    with store.writing(KEY) as target:
        write_working_audio((tile for _ in range(count)), target)


def stage(store: Store, name: str, hours: float) -> None:
    """Run one stage in this process and print its time and memory."""
    profile = make_profile(Settings(), "demo", "")
    began = time.monotonic()
    loaded = (profile.diarizer if name == "diarize" else profile.transcriber).load()
    work = (
        Diarize(store, profile.diarizer, PRESETS["asr"], "b")
        if name == "diarize"
        else Transcribe(store, profile.transcriber)
    )
    if hours:
        inputs: dict[str, object] = {"working": KEY}
        if name == "diarize":
            inputs |= {"min_speakers": None, "max_speakers": None, "segmentation": PRESETS["asr"].model_dump()}
        else:
            segments = store.read_table(table_key("diarized_segments", "b"), SEGMENTS)
            assert segments is not None
            inputs |= {
                "language": "en",
                "hints": None,
                "segments": segments.select("segment_id", "start", "end", "speaker"),
            }
        result = run_stage(
            work, "b", [Episode("long", "long", hours * 3600, inputs)], store, compute=Local(work, 2, loaded=loaded)
        )
        assert list(result.done) == ["long"], result.failures["traceback"][0]
        rows = result.table()
        result.commit(store, rows)
        if name == "transcribe":
            segments = store.read_table(table_key("diarized_segments", "b"), SEGMENTS)
            assert segments is not None
            assert words_in_order(rows, segments).passed
        else:
            assert rows["duration"].max() <= 30.0  # type: ignore[operator]
    print(json.dumps({"peak": peak_memory(), "seconds": time.monotonic() - began}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3)
    parser.add_argument("--stage", nargs=2, metavar=("NAME", "STORE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        name, folder = arguments.stage
        stage(Store.at(folder), name, arguments.hours)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Store.at(folder), arguments.hours)
        print(f"| {arguments.hours:g} h | peak, MB | beyond the loaded models, MB | wall, s |\n|---|---|---|---|")
        for name in ("diarize", "transcribe"):
            measurements = []
            for hours in (0.0, arguments.hours):
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.long_episode",
                    "--hours",
                    str(hours),
                    "--stage",
                    name,
                    folder,
                ]
                printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                measurements.append(json.loads(printed))
            empty, full = measurements
            print(
                f"| {name} | {full['peak']:.0f} | {full['peak'] - empty['peak']:.0f} | {full['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
