"""Cost of near-duplicate detection: fingerprints of an hour, a comparison of two, and a search in a store of many episodes.

    python -m benchmarks.near_duplicates [--episodes 100000]

The store is a temporary folder with the anchors of episodes of one hour in batches of 64. Real speech repeats itself: items of
different recordings were the same 7 times in 10^8 pairs, as if they were drawn from 14 million values, and so they are drawn here.
One episode of the batch that looks is among the others, with one bit in ten turned over; that it is found, and nothing else, is
asserted.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measured import cpu
from podcast_assets.audio.decode import decode
from podcast_assets.audio.working import WORKING_RATE, read_working_audio_blocks, write_working_audio
from podcast_assets.demo import BATCH
from podcast_assets.intake.duplicates.chromaprint import (
    ANCHOR_SHARE,
    ITEM_SECONDS,
    Items,
    compare_fingerprints,
    fingerprint,
    mix_items,
)
from podcast_assets.intake.duplicates.near import find_near_duplicates, fingerprint_key
from podcast_assets.store.schema import schema
from podcast_assets.store.schema_beside import FINGERPRINTS
from podcast_assets.store.store import Store

AN_HOUR, IN_A_BATCH = round(3600 / ITEM_SECONDS), 64
VALUES = np.random.default_rng(0).integers(0, 2**32, 14_000_000, np.uint32)
ANCHORS = VALUES[mix_items(VALUES) < 2**32 // ANCHOR_SHARE]
"""An item of one recording that is an anchor meets only anchors of another."""


def drawn(generator: np.random.Generator, items: int = AN_HOUR, values: Items = VALUES) -> Items:
    return values[generator.integers(0, len(values), items)]


def damaged(items: Items, generator: np.random.Generator) -> Items:
    return items ^ ((generator.random((len(items), 32)) < 0.1) @ (1 << np.arange(32, dtype=np.uint64))).astype(
        np.uint32
    )


def print_times(label: str, start: tuple[float, float], note: str = "") -> None:
    print(f"{label}: {cpu() - start[0]:.2f} CPU s, {time.perf_counter() - start[1]:.2f} s {note}", flush=True)


def one_hour(folder: Path) -> None:
    clip = np.concatenate([decode(f) for f in sorted(BATCH.iterdir()) if f.suffix in (".mp4", ".m4a", ".opus")])
    hour = np.resize(clip, 3600 * WORKING_RATE)
    write_working_audio([hour], folder / "hour.flac")
    start = cpu(), time.perf_counter()
    items = fingerprint(read_working_audio_blocks(folder / "hour.flac"), WORKING_RATE)
    print_times("the fingerprint of an hour, from its working audio", start, f"({4 * len(items):,} bytes)")
    generator = np.random.default_rng(1)
    for hours in (1, 10):
        items = drawn(generator, hours * AN_HOUR)
        for name, other in (("the same", damaged(items, generator)), ("others", drawn(generator, len(items)))):
            start = cpu(), time.perf_counter()
            share = compare_fingerprints(items, other).share
            print_times(f"compare {hours} h, {name}", start, f"(share {share:.3f})")


def by_chance(generator: np.random.Generator, number: int) -> pl.DataFrame:
    """Return anchors of a batch without fingerprints in the store."""
    count = AN_HOUR // ANCHOR_SHARE
    return pl.DataFrame(
        {
            "episode_id": [f"e{n}" for n in range(IN_A_BATCH)],
            "working": [f"audio/working/{number}/e{n}.flac" for n in range(IN_A_BATCH)],
            "anchors": [drawn(generator, count, ANCHORS).tolist() for _ in range(IN_A_BATCH)],
            "positions": [np.sort(generator.integers(0, AN_HOUR, count)).tolist() for _ in range(IN_A_BATCH)],
        },
        schema=schema(FINGERPRINTS),
    )


def many(folder: Path, episodes: int) -> None:
    store, generator = Store.at(folder / "store"), np.random.default_rng(2)
    for number in range(episodes // IN_A_BATCH - 1):
        store.write_table(f"fingerprints/b{number:05d}.parquet", by_chance(generator, number))
    known = drawn(generator)
    for batch, first in (("known", known), ("new", damaged(known, generator))):
        ours = {f"{batch}{n}": f"audio/working/{batch}/{n}.flac" for n in range(IN_A_BATCH)}
        for n, working in enumerate(ours.values()):
            store.write(fingerprint_key(working), (drawn(generator) if n else first).tobytes())
        start = cpu(), time.perf_counter()
        found = find_near_duplicates(store, batch, ours)
        size = sum(entry.bytes for entry in store.list("fingerprints"))
        print_times(
            f"look through {episodes:,} episodes for {IN_A_BATCH}",
            start,
            f"({size / 1e6:,.0f} MB of anchors; {len(found.troubles)} candidates by chance)",
        )
    assert found.rows.select("episode_id", "other").rows() == [("new0", "known/known0")], found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        one_hour(Path(folder))
        many(Path(folder), arguments.episodes)


if __name__ == "__main__":
    main()
