"""Start-up cost of commands: CPU seconds (user and system) of the process, median of the rounds.

    python -m benchmarks.cli_start [--rounds 5] [--run] [--quick]

Compared with a command that imports everything that any command needs (Dagster, polars, NumPy, the Hub client), and with Dagster's
own command line. All run in turn on a store with a few batches. `--run` adds a run of one short episode with the demonstration
model, from arrival to shard. `--quick` is one round of three commands, as a smoke test.
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

from benchmarks.measured import cpu
from podcast_assets.demo import BATCH

EPISODE = "water-history.opus"
EVERYTHING = """
import sys
from podcast_assets.cli import main as cli, terminal
from podcast_assets.defs import launch
from podcast_assets.intake.duplicates import near
from podcast_assets.stages import overview, profiles
cli.main.load_commands()
cli.main(sys.argv[1:])
"""
OURS = [sys.executable, "-m", "podcast_assets.cli"]
CANDIDATES: dict[str, list[str]] = {
    "all imported: --help": [sys.executable, "-c", EVERYTHING, "--help"],
    "dagster --help": [sys.executable, "-m", "dagster", "--help"],
    **{
        command: [*OURS, *command.split()]
        for command in (
            "--help",
            "settings",
            "profiles",
            "batches",
            "batches --json",
            "episodes",
            "failures",
            "duplicates",
            "takedowns",
        )
    },
}
QUICK = ("all imported: --help", "--help", "settings")


def seconds(command: Sequence[str]) -> float:
    before = cpu()
    subprocess.run(command, check=True, capture_output=True)
    return cpu() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "PODCAST_STORE": f"{folder}/store",
            "DAGSTER_HOME": f"{folder}/dagster_home",
            "PODCAST_DNSMOS_HOP": "9",
            "HF_HUB_OFFLINE": "1",
        }
        for batch in "abc":
            target = Path(folder) / "store" / "incoming" / batch
            target.mkdir(parents=True)
            shutil.copy(BATCH / EPISODE, target)
        subprocess.run([*OURS, "init"], check=True, capture_output=True)
        chosen = {name: c for name, c in CANDIDATES.items() if not arguments.quick or name in QUICK}
        times: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, command in chosen.items():
                times[name].append(seconds(command))
            if arguments.run:
                store = Path(folder) / "run"
                shutil.rmtree(store, ignore_errors=True)
                options = ["--batch", "run", "--profile", "demo", "--language", "en", "--store", str(store)]
                run = [*OURS, "run", str(BATCH / EPISODE), *options]
                times.setdefault("run of one episode", []).append(seconds(run))
    peer = statistics.median(next(iter(times.values())))
    print(f"| {rounds} rounds | CPU s, median | most | all imported ÷ this |\n|---|---|---|---|")
    for name, each in times.items():
        print(f"| {name} | {statistics.median(each):.2f} | {max(each):.2f} | {peer / statistics.median(each):.1f} |")


if __name__ == "__main__":
    main()
