"""Object store clients, s3fs against obstore, on which the store is built; and listing of very many batches.

    python -m benchmarks.store [--rounds 5] [--megabytes 256] [--small 300] [--batches 100000]

Against a real S3 server on this machine (`tools/s3_server.py`), which computes beside the clients: so CPU time is that of the
client alone, and throughput is what both reach together. Each measurement in a process of its own, in turn. Small files are of
20 kB. The batches of the listing are put straight into the server's listing (its container database): to write 100,000 objects
would take the time of all else. What lists them goes through the whole S3 interface, signed, 1,000 a page.
"""

import argparse
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measured import cpu, peak_memory
from tools.s3_server import ACCOUNT, running

BUCKET = "bench"
SMALL_BYTES, THREADS, BLOCK = 20_000, 16, 1 << 20


class S3fs:
    """s3fs through fsspec."""

    def __init__(self) -> None:
        import s3fs

        self.fs = s3fs.S3FileSystem()

    def put_file(self, source: Path, key: str) -> None:
        self.fs.put_file(str(source), f"{BUCKET}/{key}")

    def get_file(self, key: str, target: Path) -> None:
        self.fs.get_file(f"{BUCKET}/{key}", str(target))

    def stream(self, key: str) -> int:
        with self.fs.open(f"{BUCKET}/{key}", "rb") as f:
            return sum(len(block) for block in iter(lambda: f.read(BLOCK), b""))

    def put(self, key: str, data: bytes) -> None:
        self.fs.pipe_file(f"{BUCKET}/{key}", data)

    def get(self, key: str) -> bytes:
        return bytes(self.fs.cat_file(f"{BUCKET}/{key}"))  # type: ignore[arg-type]

    def list(self, prefix: str) -> int:
        return len(self.fs.find(f"{BUCKET}/{prefix}", detail=True))


class Obstore:
    """obstore by its own interface, not its adapter for fsspec."""

    def __init__(self) -> None:
        from obstore.store import S3Store

        self.store = S3Store(BUCKET, client_options={"allow_http": True})

    def put_file(self, source: Path, key: str) -> None:
        self.store.put(key, source, chunk_size=16 << 20, max_concurrency=4)

    def get_file(self, key: str, target: Path) -> None:
        with target.open("wb") as f:
            for block in self.store.get(key).stream(min_chunk_size=BLOCK):
                f.write(block)

    def stream(self, key: str) -> int:
        return sum(len(block) for block in self.store.get(key).stream(min_chunk_size=BLOCK))

    def put(self, key: str, data: bytes) -> None:
        self.store.put(key, data)

    def get(self, key: str) -> bytes:
        return self.store.get(key).bytes().to_bytes()

    def list(self, prefix: str) -> int:
        return sum(len(page) for page in self.store.list(prefix, chunk_size=1000))


class Ours:
    """`Store`: obstore, with hashes of uploads compared with those of the server."""

    def __init__(self) -> None:
        from podcast_assets.store.store import Store

        self.store = Store.at(f"s3://{BUCKET}")

    def put_file(self, source: Path, key: str) -> None:
        self.store.upload(source, key)

    def get_file(self, key: str, target: Path) -> None:
        with self.store.local_copy(key) as path:
            path.replace(target)

    def stream(self, key: str) -> int:
        with self.store.open(key) as f:
            return sum(len(block) for block in iter(lambda: f.read(BLOCK), b""))

    def put(self, key: str, data: bytes) -> None:
        self.store.write(key, data)

    def get(self, key: str) -> bytes:
        return self.store.read(key)

    def list(self, prefix: str) -> int:
        return sum(1 for _ in self.store.list(prefix))


CLIENTS: dict[str, type[S3fs | Obstore | Ours]] = {"s3fs": S3fs, "obstore": Obstore, "ours": Ours}


def alone(name: str, work: str, folder: Path, small: int) -> None:
    """One measurement in a process of its own; the client is made and has made one request before."""
    client = CLIENTS[name]()
    client.put(f"{name}/warm", b"x")
    big, table = folder / "big", os.urandom(SMALL_BYTES)

    def many(one: Callable[[int], object], threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(one, range(small)):
                pass

    works: dict[str, Callable[[], object]] = {
        "upload": lambda: client.put_file(big, f"{name}/big"),
        "download": lambda: client.get_file(f"{name}/big", folder / "back"),
        "read as a stream": lambda: client.stream(f"{name}/big"),
        "write small files": lambda: many(lambda n: client.put(f"{name}/small/{n}", table), 1),
        "write small files, 16 threads": lambda: many(lambda n: client.put(f"{name}/small/{n}", table), THREADS),
        "read small files": lambda: many(lambda n: client.get(f"{name}/small/{n}"), 1),
        "read small files, 16 threads": lambda: many(lambda n: client.get(f"{name}/small/{n}"), THREADS),
        "list": lambda: client.list("many/incoming"),
    }
    before, began = cpu(), time.perf_counter()
    works[work]()
    print(json.dumps({"wall": time.perf_counter() - began, "cpu": cpu() - before, "peak": peak_memory()}))


def fill(server: Path, batches: int) -> None:
    """Put archives `many/incoming/<batch>.tar` into the listing of the bucket."""
    path = hashlib.md5(f"podcasts/AUTH_{ACCOUNT}/{BUCKET}podcasts".encode()).hexdigest()
    database = next((server / "disks" / "d1" / "containers").rglob(f"{path}.db"))
    rows = (
        (f"many/incoming/batch-{n:06d}.tar", "1700000000.00000", 1000, "application/x-tar", "0" * 32)
        for n in range(batches)
    )
    with sqlite3.connect(database) as db:
        db.create_function("chexor", 3, lambda old, name, stamp: old)
        db.executemany(
            "INSERT INTO object (name, created_at, size, content_type, etag, deleted, storage_policy_index) "
            "VALUES (?, ?, ?, ?, ?, 0, 0)",
            rows,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--small", type=int, default=300)
    parser.add_argument("--batches", type=int, default=100_000)
    parser.add_argument("--clients", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--alone", nargs=3, metavar=("CLIENT", "WORK", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        name, work, folder = arguments.alone
        alone(name, work, Path(folder), arguments.small)
        return
    with tempfile.TemporaryDirectory() as place:
        folder, server = Path(place), Path(place) / "server"
        server.mkdir()
        with (folder / "big").open("wb") as f:
            for _ in range(arguments.megabytes):
                f.write(os.urandom(1_000_000))
        with running(server, bucket=BUCKET) as environment:
            fill(server, arguments.batches)
            measure(arguments, folder, os.environ | environment)


def measure(arguments: argparse.Namespace, folder: Path, environment: dict[str, str]) -> None:
    units = {
        "upload": (arguments.megabytes, "MB"),
        "download": (arguments.megabytes, "MB"),
        "read as a stream": (arguments.megabytes, "MB"),
        "write small files": (arguments.small, "files"),
        "write small files, 16 threads": (arguments.small, "files"),
        "read small files": (arguments.small, "files"),
        "read small files, 16 threads": (arguments.small, "files"),
        "list": (arguments.batches, "batches"),
    }
    print(
        f"| {arguments.rounds} rounds | client | per s | client CPU, s | peak, MB | CPU ÷ obstore's |\n|---|---|---|---|---|---|"
    )
    for work, (count, unit) in units.items():
        measurements: dict[str, list[dict[str, float]]] = {name: [] for name in arguments.clients}
        for _ in range(arguments.rounds):
            for name in arguments.clients:
                command = [sys.executable, "-m", "benchmarks.store", "--small", str(arguments.small), "--alone"]
                answer = subprocess.run(
                    [*command, name, work, str(folder)], env=environment, stdout=subprocess.PIPE, text=True, check=True
                )
                measurements[name].append(json.loads(answer.stdout))
        peer = statistics.median(t["cpu"] for t in measurements.get("obstore", measurements[arguments.clients[0]]))
        for name, each in measurements.items():
            wall, cpu, peak = (statistics.median(t[k] for t in each) for k in ("wall", "cpu", "peak"))
            print(
                f"| {work}, {count:,} {unit} | {name} | {count / wall:,.0f} {unit} | {cpu:.2f} | {peak:.0f} | {cpu / peer:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
