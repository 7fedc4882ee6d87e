"""Sealing members into a shard: `cp` of the same bytes, tarfile, webdataset's ShardWriter, and ours. CPU and wall time per GB.

    python -m benchmarks.sealing [--rounds 5] [--megabytes 600]

Small members are of 28 kB (six seconds of Opus), large ones of 30 MB, each with a JSON of 1.1 kB. Members are at hand in
memory, but in "ours, from the stage's file": there they lie in one file in the order of the episode and are sealed in that of
the shuffle, as the asset does it. Each in turn, in another order every round; folders are removed between them, outside the
clock. Ours hashes what it writes and calls fsync; no other does, so `cp` with an fsync stands beside them. That ours and
tarfile's hold the same members is asserted.
"""

import argparse
import contextlib
import gc
import io
import json
import os
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measured import cpu
from podcast_assets.shards import sealing
from podcast_assets.shards.members import MembersWriter
from podcast_assets.shards.tar_shards import Sample, read_shard, write_shards
from podcast_assets.shards.ustar import read_members
from podcast_assets.store.store import Store

SIZES = {"small members, 28 kB": 28_000, "large members, 30 MB": 30_000_000}
NOTE = json.dumps({"text": "what was said " * 40, "words": list(range(100))}).encode()

Work = Callable[[Path], None]


class Members:
    """Audio of random bytes with a JSON each, and a file of them as the stage writes it."""

    def __init__(self, size: int, megabytes: int, folder: Path) -> None:
        block = np.random.default_rng(0).bytes(size + 4096)
        self.audio = [block[n % 4096 : n % 4096 + size] for n in range(max(2, megabytes * 1_000_000 // size))]
        self.keys = [f"episode-{n % 64:04d}-{n:09d}" for n in range(len(self.audio))]
        self.bytes = sum(map(len, self.audio)) + len(NOTE) * len(self.audio)
        self.store = Store.at(folder)
        with self.store.writing("members") as file:
            writer = MembersWriter(file)
            for key, audio in zip(self.keys, self.audio, strict=True):
                writer.add(key, NOTE, audio, rate=24_000, channels=1)
        self.encoded = [sealing.EncodedEpisode(writer.rows(), "f", "members")]
        self.content = pl.DataFrame({"segment_id": self.keys}).with_columns(
            language=pl.lit("en"), split=pl.lit("train")
        )
        self.shard = folder / "shard.tar"
        by_tarfile(self, folder)
        next(folder.glob("*.tar")).rename(self.shard)


def by_cp(members: Members, folder: Path) -> None:
    subprocess.run(["cp", str(members.shard), str(folder / "copy.tar")], check=True)


def by_cp_with_fsync(members: Members, folder: Path) -> None:
    by_cp(members, folder)
    subprocess.run(["sync", str(folder / "copy.tar")], check=True)


def by_tarfile(members: Members, folder: Path) -> None:
    with tarfile.open(folder / "tarfile.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, audio in zip(members.keys, members.audio, strict=True):
            for name, data in ((f"{key}.json", NOTE), (f"{key}.opus", audio)):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o444
                tar.addfile(info, io.BytesIO(data))


def by_webdataset(members: Members, folder: Path) -> None:
    from webdataset.writer import ShardWriter

    with contextlib.redirect_stdout(io.StringIO()), ShardWriter(str(folder / "%06d.tar"), maxsize=1 << 40) as writer:
        for key, audio in zip(members.keys, members.audio, strict=True):
            writer.write({"__key__": key, "json": NOTE, "opus": audio})


def by_podcast_assets(members: Members, folder: Path) -> None:
    def samples() -> Iterator[Sample]:
        for key, audio in zip(members.keys, members.audio, strict=True):
            yield Sample(key, "data", "opus", NOTE, "", (audio,), len(audio), "")

    write_shards(Store.at(folder), "out", samples(), shard_bytes=1 << 40)


def by_podcast_assets_from_file(members: Members, folder: Path) -> None:
    places = sealing.seal_segments(
        members.store, "b", f"v-{folder.name}", members.content, members.encoded, suffix="opus", shard_bytes=1 << 40
    )
    made = members.store.path(f"sealed/b/{places['shard'][0]}")
    Path(str(made)).rename(folder / "shard.tar")


def by_podcast_assets_with_verification(members: Members, folder: Path) -> None:
    by_podcast_assets_from_file(members, folder)
    with (folder / "shard.tar").open("rb") as file:
        read_shard(file)


WAYS: dict[str, Callable[[Members, Path], None]] = {
    "cp": by_cp,
    "cp, then fsync": by_cp_with_fsync,
    "tarfile": by_tarfile,
    "webdataset.ShardWriter": by_webdataset,
    "ours": by_podcast_assets,
    "ours, from the stage's file, shuffled": by_podcast_assets_from_file,
    "ours, the same, read back and hashed": by_podcast_assets_with_verification,
}


def check(members: Members, folder: Path) -> None:
    """Ours hold what tarfile's hold, in the same places."""
    by_podcast_assets(members, folder)
    (made,) = folder.rglob("*.tar")
    with made.open("rb") as ours, members.shard.open("rb") as theirs:
        assert list(read_members(ours)) == list(read_members(theirs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=600)
    arguments = parser.parse_args()
    for title, size in SIZES.items():
        with tempfile.TemporaryDirectory() as top:
            members = Members(size, arguments.megabytes, Path(top))
            (Path(top) / "check").mkdir()
            check(members, Path(top) / "check")
            shutil.rmtree(Path(top) / "check")
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
            dice = np.random.default_rng(0)
            for number in range(arguments.rounds + 1):  # the first is not counted
                for name in dice.permutation(list(WAYS)):  # earlier candidates affect the page cache
                    folder = Path(tempfile.mkdtemp(dir=top))
                    gc.collect()
                    os.sync()  # otherwise an fsync would also write data of other candidates
                    before = cpu(), time.perf_counter()
                    WAYS[name](members, folder)
                    taken = cpu() - before[0], time.perf_counter() - before[1]
                    shutil.rmtree(folder)
                    if number:
                        times[name].append(taken)
            print_table(title, times, members.bytes / 1e9)


def print_table(title: str, times: dict[str, list[tuple[float, float]]], gigabytes: float) -> None:
    count = len(next(iter(times.values())))
    print(
        f"\n| {title}; {gigabytes:.2f} GB, {count} rounds | CPU s per GB, median | least | wall s per GB, median | ÷ cp, CPU |"
    )
    print("|---|---|---|---|---|")
    peer = times["cp"]
    for name, each in times.items():
        processor, wall = ([t[i] / gigabytes for t in each] for i in (0, 1))
        ratio = statistics.median(t[0] / p[0] for t, p in zip(each, peer, strict=True))
        print(
            f"| {name} | {statistics.median(processor):.2f} | {min(processor):.2f} | {statistics.median(wall):.2f} | {ratio:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
