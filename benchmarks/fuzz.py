"""Fuzzing of what reads untrusted input: mutated recordings, and generated tables, feeds and datasets.

    python -m benchmarks.fuzz [--what audio|table|feed|dataset] [--first 0] [--count 20000]

Each seed selects an input and its damage, as in the tests. Inputs that crash or stop a process, that take more than 5 s, or give
anything but a result or a message are reported, and so are recordings of 1.5 s that decode to more than 60 s of audio. They are
stored under `--keep`.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from podcast_assets.audio.decode_process import make_working_audio_in_subprocess
from podcast_assets.audio.errors import AudioError
from podcast_assets_tests.hostile.generated import checks
from podcast_assets_tests.hostile.mutations import mutated
from podcast_assets_tests.hostile.test_mutated_audio import KINDS, recording
from podcast_assets_tests.release.published import publish

SLOW_SECONDS = 5.0
LONG_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["audio", "table", "feed", "dataset"], default="audio")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"))
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        check = (
            check_audio() if arguments.what == "audio" else checks(publish(Path(name) / "made").folder)[arguments.what]
        )
        for seed in range(arguments.first, arguments.first + arguments.count):
            folder = Path(name) / str(seed)
            folder.mkdir()
            start, odd = time.perf_counter(), ""
            try:
                outcome = check(seed, folder)
            except Odd as found:
                outcome, odd = "odd", str(found)
            except Exception as error:
                outcome = type(error).__name__
                odd = f"{outcome}: {error}"
            outcomes[outcome] += 1
            if time.perf_counter() - start > SLOW_SECONDS:
                odd += f" {time.perf_counter() - start:.0f} s"
            if odd:
                shutil.copytree(folder, arguments.keep / f"{arguments.what}-{seed}", dirs_exist_ok=True)
                print(f"seed {seed}: {odd}", flush=True)
            shutil.rmtree(folder)
    print(f"{arguments.count} inputs in {time.perf_counter() - began:.0f} s: {dict(outcomes.most_common())}")


class Odd(Exception):
    """A result that deserves a look."""


def check_audio() -> Callable[[int, Path], str]:
    """Return a check that decodes a mutated recording."""
    originals = {suffix: recording(*kind) for suffix, kind in KINDS.items()}

    def check(seed: int, folder: Path) -> str:
        suffix = list(KINDS)[seed % len(KINDS)]
        source = folder / f"in.{suffix}"
        source.write_bytes(mutated(originals[suffix], seed))
        try:
            made = make_working_audio_in_subprocess(source, folder / "out.flac")
        except AudioError as error:
            if "crashes" in str(error) or "memory" in str(error):
                raise Odd(str(error)) from error
            return type(error).__name__
        if made.duration > LONG_SECONDS:
            raise Odd(f"{made.duration:.0f} s of audio")
        return "decoded"

    return check


if __name__ == "__main__":
    main()
