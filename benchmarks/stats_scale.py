"""Time of `podcast-assets stats` with many batches.

    python -m benchmarks.stats_scale [--batches 10000] [--changed 64] [--rounds 5] [--drop-caches] [--quick]

The store has that many archives under incoming/ and finished batches of 64 made episodes (fifty different ones, linked under many
names): a few languages and podcasts, failures, eight GPUs. Nothing is computed on audio.

- first count: nothing is counted yet, every table is read;
- the command: a process of its own, from its start to its last line; nothing changed, or `--changed` batches were written again;
- in a process: the same calls in a process that has imported everything, as the asset `statistics` does.

CPU seconds, and wall time, which also depends on the load of the machine. With --drop-caches (root), also a row "cold": the page
cache of the whole machine is dropped before each call, which slows down everything else that runs on it.
"""

import argparse
import datetime
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from benchmarks.measured import cpu, peak_memory, wall
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.stages.statistics.queue import count_queue
from podcast_assets.stages.statistics.refresh import SETTLED_SECONDS, refresh_statistics
from podcast_assets.stages.statistics.totals import compute_statistics
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, Columns, make_table
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.statistics_table import KEY, TOTALS_KEY
from podcast_assets.store.store import Store

EPISODES, SECONDS = 64, 2400.0
_FOLDERS = ("tables", "provenance", "failures")
_CACHES = Path("/proc/sys/vm/drop_caches")


def blank(columns: Columns, **values: object) -> dict[str, object]:
    """A row of nulls but for some values; flags are empty lists."""
    return dict.fromkeys(columns) | values


def make_batch(store: Store, batch: str, variant: int) -> None:
    """Commit a batch of 64 episodes, of which every 20th failed."""
    began = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=37 * variant)
    names = [f"v{variant}-e{n}" for n in range(EPISODES)]
    for number, (asset, stage) in enumerate(STAGES.items()):
        fell = {n for n in names if int(n.rpartition("e")[2]) % 20 == number}
        times = {n: began + datetime.timedelta(minutes=2 * k) for k, n in enumerate(names)}
        provenance = [
            blank(
                PROVENANCE, episode_id=n, source=f"{n}.mp3", fingerprint="f" * 32, rows=1, engine=f"engine-{stage}",
                node=f"node-{k % 2}", gpu=str(k % 4), audio_seconds=SECONDS, seconds=20.0 + number, finished_at=times[n],
            )
            for k, n in enumerate(names)
            if n not in fell
        ]  # fmt: skip
        failures = [
            blank(
                FAILURES, episode_id=n, source=f"{n}.mp3", stage=stage, error_type="BadInput", permanent=True, attempts=1,
                message=f"{n}.mp3: cut off at byte {variant}", fingerprint="f" * 32, failed_at=times[n],
            )
            for n in fell
        ]  # fmt: skip
        rows: list[dict[str, object]] = []
        if asset == "raw_audio":
            rows = [
                blank(
                    ASSETS[asset], episode_id=n, source=f"{n}.mp3", status="done", podcast=f"podcast {variant}",
                    language=("en", "de", "fr")[variant % 3], bytes=30_000_000, duration=SECONDS, fingerprint="f" * 32,
                )
                for n in names
            ]  # fmt: skip
        elif asset == "transcripts":
            rows = [
                blank(ASSETS[asset], segment_id=f"{n}-{s}", episode_id=n, text="word " * 30, language="en")
                for n in names
                for s in range(100)
            ]
        tables = make_table(rows, ASSETS[asset]), make_table(provenance, PROVENANCE), make_table(failures, FAILURES)
        commit(store, asset, batch, *tables)


def fill(root: Path, batches: int) -> Store:
    """Make a store: the first fifty batches are written, the others are links to their files."""
    store = Store.at(root)
    made = min(batches, 50)
    for variant in range(made):
        make_batch(store, name(variant), variant)
    folders = [kind for top in _FOLDERS for kind in sorted((root / top).iterdir())]
    for number in range(made, batches):
        for folder in folders:
            os.link(folder / f"{name(number % made)}.parquet", folder / f"{name(number)}.parquet")
    (root / "incoming").mkdir()
    for number in range(batches + batches // 100):
        (root / "incoming" / f"{name(number)}.tar").write_bytes(b"x")
    return store


def name(number: int) -> str:
    return f"batch-{number:06d}"


def change(root: Path, first: int, batches: int) -> None:
    """Write the tables of some batches again, as a run does that commits them."""
    for number in range(first, first + batches):
        table = root / "tables" / "hf_shards" / f"{name(number)}.parquet"
        shutil.copyfile(table, temporary := table.with_name(f".{name(number)}.part"))
        temporary.replace(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drop-caches", action="store_true")
    parser.add_argument("--quick", action="store_true", help="100 batches and one round, to see that it works.")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.batches, arguments.changed, arguments.rounds = 100, 5, 1
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder) / "store", arguments)


def measure(root: Path, arguments: argparse.Namespace) -> None:
    store = fill(root, arguments.batches)
    print(f"| {arguments.batches:,} batches | CPU, s | wall: median, s | longest, s |\n|---|---|---|---|")

    def report(label: str, work: Callable[[], object], before: Callable[[int], object], rounds: int) -> None:
        spent, times = [], []
        for number in range(rounds):
            before(number)
            began = cpu()
            times.append(wall(work))
            spent.append(cpu() - began)
        figures = (statistics.median(spent), statistics.median(times), max(times))
        print(f"| {label} | {' | '.join(f'{f:.2f}' for f in figures)} |", flush=True)

    def ask() -> None:
        rows = refresh_statistics(store).rows
        compute_statistics(rows, count_queue(rows, list_incoming(store)), by="day")

    def command() -> None:
        words = [sys.executable, "-m", "podcast_assets.cli", "stats", "--by", "day", "--json", "--store", str(root)]
        environment = os.environ | {"DAGSTER_HOME": str(root.parent / "no_instance")}
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)

    def settle(_round: int) -> None:
        time.sleep(SETTLED_SECONDS)
        refresh_statistics(store)

    def cold(number: int) -> None:
        settle(number)
        os.sync()
        _CACHES.write_text("3")

    def forget(_round: int) -> None:
        store.remove(TOTALS_KEY)
        store.remove(KEY)

    report("first count", ask, forget, 1)
    several = range(arguments.rounds)
    report("in a process, nothing changed", ask, settle, len(several))
    report(
        f"in a process, {arguments.changed} batches changed",
        ask,
        lambda n: change(root, n * arguments.changed % arguments.batches, arguments.changed),
        len(several),
    )
    report("the command, nothing changed", command, settle, len(several))
    report(
        f"the command, {arguments.changed} batches changed",
        command,
        lambda n: change(root, n * arguments.changed % arguments.batches, arguments.changed),
        len(several),
    )
    if arguments.drop_caches:
        report("the command, cold, nothing changed", command, cold, len(several))
    rows = pl.read_parquet(root / KEY).height
    print(f"\n{rows:,} rows, {(root / KEY).stat().st_size / 1e6:.1f} MB; peak memory {peak_memory():.0f} MB")


if __name__ == "__main__":
    main()
