"""A thousand episodes of 2.5 s, and one of twenty hours of silence: the whole command, from arrival to shards.

    python -m benchmarks.extremes [--episodes 1000] [--hours 20] [--profile demo] [--quick]

`podcast-assets run` in a store of its own: wall time, CPU time of all its processes, and peak memory as the largest sum over its
processes (PSS of /proc, Linux, five times a second). The short episodes are cut from the sample batch at places drawn at random.
Beside them stands the model alone: faster-whisper's own `WhisperModel.transcribe` on the same files with the same settings, with
word times, in a process of its own. The silence is FLAC at 16 kHz. `--quick` is five episodes and three minutes.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measured import WHOLE

SECONDS = 2.5
RATE = 16_000
_PEER = """
import sys
from faster_whisper import WhisperModel
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
engine = FasterWhisper(model="tiny.en", device="cpu")
engine.fetch()
model = WhisperModel(str(engine.model_files()[0].parent), device="cpu", compute_type="int8")
for file in sys.argv[1:]:
    list(model.transcribe(file, language="en", word_timestamps=True)[0])
"""


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall: float
    """s."""
    cpu: float
    """s, of all its processes."""
    peak: float
    """MB, the largest sum over all processes at one time."""


def measure(command: list[str], **environment: str) -> Cost:
    """Run a command and measure it.

    Raises:
        RuntimeError: it failed.
    """
    before, began, peak = _child_seconds(), time.monotonic(), 0.0
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.2)
        wall = time.monotonic() - began
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command[:5])} failed: {output.read().decode()[-2000:]}")
    return Cost(wall, _child_seconds() - before, peak)


def _child_seconds() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _memory(pid: int) -> float:
    """Sum the memory of a process and all its children in MB; shared pages count once. 0 for processes that have just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = " ".join(t.read_text() for t in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return own + sum(_memory(int(child)) for child in children)


def make_short(folder: Path, count: int) -> list[Path]:
    """Cut short episodes from the sample batch."""
    import soundfile

    from podcast_assets.audio.decode import decode
    from podcast_assets.demo import BATCH

    audio, random = np.concatenate([decode(BATCH / file) for file in WHOLE]), np.random.default_rng(0)
    length = round(SECONDS * RATE)
    files = [folder / f"e{i:04d}.flac" for i in range(count)]
    for file, start in zip(files, random.integers(0, len(audio) - length, count).tolist(), strict=True):
        soundfile.write(file, audio[start : start + length], RATE)
    return files


def make_silence(file: Path, hours: float) -> None:
    """Write silence, minute by minute."""
    import soundfile

    with soundfile.SoundFile(file, "w", samplerate=RATE, channels=1, subtype="PCM_16") as target:
        for _ in range(round(hours * 60)):
            target.write(np.zeros(60 * RATE, np.int16))


def run(inputs: Path, folder: Path, profile: str) -> Cost:
    """Measure `podcast-assets run`."""
    command = [sys.executable, "-m", "podcast_assets.cli", "run", str(inputs), "--profile", profile, "--language", "en"]
    return measure(command, PODCAST_STORE=str(folder / "store"), DAGSTER_HOME=str(folder / "dagster_home"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--hours", type=float, default=20)
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    episodes, hours = (5, 0.05) if arguments.quick else (arguments.episodes, arguments.hours)
    print("| | wall, s | CPU, s | peak of all processes, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("short", "silence"):
            (folder / part).mkdir()
        files = make_short(folder / "short", episodes)
        make_silence(folder / "silence" / "silence.flac", hours)
        show("faster-whisper alone, on the same files", measure([sys.executable, "-c", _PEER, *map(str, files)]))
        show(f"{episodes} episodes of {SECONDS} s", run(folder / "short", folder / "of-short", arguments.profile))
        show(f"{hours:g} h of silence", run(folder / "silence", folder / "of-silence", arguments.profile))


def show(what: str, cost: Cost) -> None:
    print(f"| {what} | {cost.wall:.0f} | {cost.cpu:.0f} | {cost.peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
