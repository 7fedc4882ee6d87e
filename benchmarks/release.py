"""Upload after a change of scores: with scores in tables beside the shards, and with scores in the shards' JSON.

    python -m benchmarks.release [--samples 3000] [--bytes 28000]

Both sides publish the same samples of random bytes (nothing compresses, as with opus) to a double of the Hub on the loopback, by
its real client over LFS. Then every sample gets another score, and both publish again; then once more with nothing changed.

- ours: `podcast_assets.release.release`, scores in metadata/…parquet;
- peer: one more key in the JSON beside each audio, tars by webdataset.TarWriter, `HfApi.upload_folder`.

It prints bytes received by the double, requests, files changed, and CPU seconds of the publisher (the double is another process).
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

PER_SHARD = 1000


def serve(folder: str, pipe: Connection) -> None:
    """Run the double in a separate process."""
    from podcast_assets_tests.doubles.hub import running_hub

    with running_hub(Path(folder)) as hub:
        pipe.send(hub.url)
        while pipe.recv():
            pipe.send((hub.uploaded(), len(hub.requests)))
            hub.requests.clear()


def ours(folder: Path, url: str, samples: int, size: int) -> Callable[[float], None]:
    from podcast_assets.release.options import ReleaseOptions
    from podcast_assets.release.release import release
    from podcast_assets.release.targets.hub import HubTarget
    from podcast_assets.store.commits import CommittedTable, commit
    from podcast_assets.store.schema import FAILURES, empty_table
    from podcast_assets.store.store import Store
    from podcast_assets_tests.doubles.hub import TOKEN
    from podcast_assets_tests.release.sealed_store import seal

    store = Store.at(folder / "store")
    tables = {
        f"b{n:03d}": seal(store, f"b{n:03d}", [f"e{e}" for e in range(10)], segments=PER_SHARD // 10, audio_bytes=size)
        for n in range(samples // PER_SHARD)
    }

    def publish(score: float) -> None:
        for batch, rows in tables.items():
            made = CommittedTable.read(store, "hf_shards", batch)
            scored = rows.with_columns(dnsmos_ovrl=np.random.default_rng(int(score)).normal(score, 0.3, rows.height))
            commit(store, "hf_shards", batch, scored, made.provenance, empty_table(FAILURES))
        options = ReleaseOptions("all", "cc-by", shard_bytes=PER_SHARD * size, codec="flac")
        release(store, HubTarget("tester/ours", endpoint=url, token=TOKEN), options)

    return publish


def peer(folder: Path, url: str, samples: int, size: int) -> Callable[[float], None]:
    import webdataset
    from huggingface_hub import HfApi

    from podcast_assets_tests.doubles.hub import TOKEN

    api = HfApi(endpoint=url, token=TOKEN)
    api.create_repo("tester/peer", repo_type="dataset")
    tree = folder / "tree" / "data"
    tree.mkdir(parents=True)

    def publish(score: float) -> None:
        random = np.random.default_rng(7)
        for n in range(samples // PER_SHARD):
            with webdataset.TarWriter(str(tree / f"audio_{n:06d}.tar"), mtime=0) as tar:  # type: ignore[attr-defined]
                for i in range(PER_SHARD):
                    note = {"id": f"{n}-{i}", "text": "hello", "dnsmos_ovrl": score + i / 1000}
                    tar.write(
                        {"__key__": f"{n:03d}-{i:06d}", "json": json.dumps(note).encode(), "flac": random.bytes(size)}
                    )
        api.upload_folder(repo_id="tester/peer", folder_path=str(tree.parent), repo_type="dataset")

    return publish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--bytes", type=int, default=28_000)
    arguments = parser.parse_args()
    os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    print(f"{arguments.samples:,} samples of {arguments.bytes:,} bytes")
    print(f"{'':8}{'':26}{'MB sent':>10}{'requests':>10}{'CPU s':>8}")
    for name, build in {"peer": peer, "ours": ours}.items():
        with tempfile.TemporaryDirectory() as folder:
            mine, theirs = multiprocessing.Pipe()
            process = multiprocessing.Process(target=serve, args=(f"{folder}/hub", theirs), daemon=True)
            process.start()
            publish = build(Path(folder), mine.recv(), arguments.samples, arguments.bytes)
            for label, score in (("first", 3.0), ("every score changed", 4.0), ("nothing changed", 4.0)):
                began = time.process_time()
                publish(score)
                cpu = time.process_time() - began
                mine.send(True)
                sent, requests = mine.recv()
                print(f"{name:8}{label:26}{sent / 1e6:10.2f}{requests:10}{cpu:8.2f}")
            mine.send(False)
            process.join()


if __name__ == "__main__":
    main()
