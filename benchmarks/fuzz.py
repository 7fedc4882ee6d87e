"""Fuzzing of the decoding process with mutated recordings.

    python -m benchmarks.fuzz [--first 0] [--count 20000]

Each seed selects a kind of file and its damage, as in the tests. Files that crash or stop the process, take long, or decode to more
than 60 s of audio (from 1.5 s) are reported, and stored under `--keep`.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from podcast_assets.audio.decode_process import make_working_audio_in_subprocess
from podcast_assets.audio.errors import AudioError
from podcast_assets_tests.hostile.mutations import mutated
from podcast_assets_tests.hostile.test_mutated_audio import KINDS, recording

SLOW_SECONDS = 5.0
LONG_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"))
    arguments = parser.parse_args()
    originals = {suffix: recording(*kind) for suffix, kind in KINDS.items()}
    outcomes: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in", Path(name) / "out.flac"
        for seed in range(arguments.first, arguments.first + arguments.count):
            suffix = list(KINDS)[seed % len(KINDS)]
            source.write_bytes(mutated(originals[suffix], seed))
            start, odd = time.perf_counter(), ""
            try:
                made = make_working_audio_in_subprocess(source, target)
                outcomes["decoded"] += 1
                odd = f"{made.duration:.0f} s of audio" if made.duration > LONG_SECONDS else ""
            except AudioError as error:
                outcomes[type(error).__name__] += 1
                odd = str(error) if "crashes" in str(error) or "memory" in str(error) else ""
            except Exception as error:
                outcomes[type(error).__name__] += 1
                odd = f"{type(error).__name__}: {error}"
            if time.perf_counter() - start > SLOW_SECONDS:
                odd += f" {time.perf_counter() - start:.0f} s"
            if odd:
                arguments.keep.mkdir(exist_ok=True)
                (arguments.keep / f"{seed}.{suffix}").write_bytes(source.read_bytes())
                print(f"seed {seed} ({suffix}): {odd}", flush=True)
    print(f"{arguments.count} files in {time.perf_counter() - began:.0f} s: {dict(outcomes.most_common())}")


if __name__ == "__main__":
    main()
