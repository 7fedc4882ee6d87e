"""Ingest of a folder of 4 MB MP3 files: files per hour and core, and memory for episodes of 30 minutes and 3 hours.

    python -m benchmarks.intake [--files 40] [--opus 24000]

An mp3 of 128 kbit/s, 44.1 kHz stereo, of about four minutes, each file with other bytes. Everything that `raw_audio` does for a
batch: hash and keep the original, decode all of it in a process of its own, write FLAC of mono 16 kHz, with the checkpoint of each;
then the same with a copy in Opus, decoded again. CPU time counts, of this process and of those that decode. The system that this
one replaces does 200 to 400 files an hour. Memory is the peak of the decoding process (Linux).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.decode import make
from benchmarks.measured import cpu, peak_memory

SECONDS = 200.0
"""Whole repetitions of its sound, so a little more: 4 MB at 128 kbit/s."""


def alone(folder: Path, opus: int | None) -> dict[str, float]:
    """Run one batch through unpack and ingest in this process."""
    from podcast_assets.audio import decode_process
    from podcast_assets.intake.arrivals import find_arrival
    from podcast_assets.intake.episodes import recordings
    from podcast_assets.intake.unpack import unpack
    from podcast_assets.stages.compute.local import Local
    from podcast_assets.stages.ingest import Ingest, ingest_episode
    from podcast_assets.stages.runner import run_stage
    from podcast_assets.store.store import Store

    before, began = cpu(), time.perf_counter()
    store = Store.at(folder)
    found = recordings(unpack(store, find_arrival(store, "batch")).files)
    todo = [
        ingest_episode(r.episode_id, r.file.name, r.file.stored.sha256, r.file.stored.key, opus=opus) for r in found
    ]
    stage = Ingest(store)
    run = run_stage(stage, "batch", todo, store, Local(stage, 2))
    assert len(run.done) == len(todo), run.failures
    run.table()
    decoders = decode_process._decoders
    peak = max(peak_memory(process.pid) for process in decoders.idle.queue if process.pid)
    decoders.close()  # the time of children counts only after they end
    return {"cpu": cpu() - before, "wall": time.perf_counter() - began, "peak": peak}


def measure(folder: Path, files: list[bytes], opus: int | None) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        incoming = Path(name) / "incoming" / "batch"
        incoming.mkdir(parents=True)
        for number, data in enumerate(files):
            (incoming / f"{number:04d}.mp3").write_bytes(data)
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.intake", "--alone", name, *(["--opus", str(opus)] if opus else [])],
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(result.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--opus", type=int)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(alone(arguments.alone, arguments.opus)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "a.mp3", SECONDS)
        sound = (folder / "a.mp3").read_bytes()
        # an ID3v1 tag at the end makes each another file
        files = [sound + b"TAG" + b"%0125d" % number for number in range(arguments.files)]
        print(f"| {len(files)} files of {len(sound) / 1e6:.1f} MB | files per hour and core | files per hour | CPU s |")
        print("|---|---|---|---|", flush=True)
        for label, opus in (("FLAC", None), ("FLAC and Opus", arguments.opus or 24_000)):
            measurement = measure(folder, files, opus)
            rates = [3600 * len(files) / measurement[key] for key in ("cpu", "wall")]
            print(f"| {label} | {rates[0]:,.0f} | {rates[1]:,.0f} | {measurement['cpu']:.1f} |", flush=True)
        print("\n| one mp3 | peak of the decoding process, MB |\n|---|---|", flush=True)
        for hours in (0.5, 3.0):
            # frames of mp3 stand for themselves: to encode three hours would take longer than all else
            measurement = measure(folder, [sound * round(hours * 3600 / SECONDS)], None)
            print(f"| {hours:g} h | {measurement['peak']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
