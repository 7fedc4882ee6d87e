"""Overhead of Dagster per batch, and its share by the size of batches and runs.

    python -m benchmarks.run_overhead [--rounds 5] [--range 10]

Batches of one short episode each are done once; what is measured is to materialize all assets of them again, where every stage
takes what is committed: no model is loaded or run. What is left is Dagster (run, steps, events, checks, partitions) and reading,
judging and drawing the tables. In-process, on SQLite in a fresh DAGSTER_HOME:

- a run of one batch, and a run over a range of --range batches: seconds per batch, in a process that is there already;
- the same by the command `podcast-assets backfill --here`: with the start of Python, imports and definitions.

Then the share of these seconds at batches of 5, 20 and 60 minutes of work. Wall time, median of the rounds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measured import wall

MINUTES = (5, 20, 60)
EPISODE = "water-history.opus"


def command(batches: Sequence[str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "podcast_assets.cli", "backfill", "--here", *batches],
        check=True,
        capture_output=True,
        text=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--range", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "PODCAST_STORE": f"{folder}/store",
            "DAGSTER_HOME": f"{folder}/dagster_home",
            "PODCAST_PROFILE": "demo",
            "PODCAST_LANGUAGE": "en",
            "PODCAST_DNSMOS_HOP": "9",
            "HF_HUB_OFFLINE": "1",
        }
        measure(Path(folder), arguments.range, arguments.rounds)


def measure(folder: Path, length: int, rounds: int) -> None:
    import dagster as dg

    from podcast_assets.config.settings import Settings
    from podcast_assets.defs.launch import run_in_process
    from podcast_assets.demo import BATCH

    batches = [f"b{i:02d}" for i in range(length)]
    for batch in batches:
        target = folder / "store" / "incoming" / batch
        target.mkdir(parents=True)
        shutil.copy(BATCH / EPISODE, target)
    command(batches)  # all of the work, and the partitions in their order
    settings = Settings()
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for chosen in (batches[:1], batches):
            with dg.DagsterInstance.get() as instance:

                def here(chosen: list[str] = chosen, instance: dg.DagsterInstance = instance) -> None:
                    outcome = run_in_process(instance, settings, chosen, source="backfill")
                    assert outcome.succeeded, outcome.error

                times.setdefault(("in a process that is there", len(chosen)), []).append(wall(here))
            times.setdefault(("as a command", len(chosen)), []).append(wall(lambda c=chosen: command(c)))
    heads = " | ".join(f"share at {m} min of work" for m in MINUTES)
    print(f"\n| run | batches in it | s per run | s per batch | {heads} |\n|{'---|' * (4 + len(MINUTES))}")
    for (name, count), each in times.items():
        whole = statistics.median(each)
        shares = " | ".join(f"{whole / count / (m * 60):.2%}" for m in MINUTES)
        print(f"| {name} | {count} | {whole:.2f} | {whole / count:.2f} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
