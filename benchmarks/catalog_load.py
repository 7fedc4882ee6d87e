"""Time and memory of loading the catalog.

    python -m benchmarks.catalog_load [--segments 1000000] [--batch-segments 10000] [--episodes 64] [--words 12] [--url postgresql://…]
    python -m benchmarks.catalog_load --quick

Batches are made without audio, with all tables, and loaded into a catalog of the embedded server, or of `--url`, whose schema
podcast_catalog is dropped first.

- one batch: the first load, a load of the same batch that changes nothing, and one after every score changed.
- all: a whole rebuild, with the greatest memory of this process (the client).
- `ra_queue` and `daily_stats`: median of 20 queries on all rows.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, text

from podcast_assets.catalog.connection import connect, embedded_server
from podcast_assets.catalog.loading.load import load_batch, load_batches
from podcast_assets.catalog.migrate import migrate
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch, flag_some_segments


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="catalog_load", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=1_000_000, help="in all batches")
    parser.add_argument("--batch-segments", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=64, help="of a batch")
    parser.add_argument("--words", type=int, default=12, help="of a segment; they get no rows")
    parser.add_argument("--url", help="of an empty database; by default the embedded server")
    parser.add_argument("--quick", action="store_true", help="2,000 segments, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.segments, options.batch_segments, options.episodes = 2_000, 1_000, 4
    with tempfile.TemporaryDirectory(prefix="catalog-load-") as folder:
        settings = Settings(
            dagster_home=Path(folder) / "home",
            catalog_url=SecretStr(options.url) if options.url else None,
            catalog=True,
        )
        store = Store.at(Path(folder) / "store")
        try:
            measure(connect(settings), store, options)
        finally:
            if not options.url:
                embedded_server(settings).leave()


def measure(engine: Engine, store: Store, options: argparse.Namespace) -> None:
    names = [f"{number:03d}" for number in range(options.episodes)]
    per_episode = max(1, options.batch_segments // options.episodes)
    batches = [f"batch-{n:05d}" for n in range(max(1, options.segments // (per_episode * options.episodes)))]

    def commit(batch: str, without: tuple[str, ...] = (), seed: str = "") -> None:
        commit_filled_batch(
            store, batch, episodes=names, segments=per_episode, words=options.words, without=without, seed=seed
        )

    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS podcast_catalog CASCADE"))
    migrate(engine)
    commit(batches[0])
    with timed(f"one batch of {options.episodes} episodes and {per_episode * options.episodes:,} segments"):
        load_batch(engine, store, batches[0], words=False)
    with timed("the same batch again, nothing changed"):
        load_batch(engine, store, batches[0], words=False)
    commit(batches[0], ("raw_audio", "diarized_segments", "transcripts", "hf_shards", "content_flags"), "other")
    with timed("the same batch, all scores changed"):
        load_batch(engine, store, batches[0], words=False)
    with timed("(making the batches)"):
        for batch in batches[1:]:
            commit(batch)
    before = peak_memory()
    with timed(f"{len(batches):,} batches, {len(batches) * per_episode * options.episodes:,} segments"):
        load_batches(engine, store, words=False, again=True)
    print(f"memory of the client: {peak_memory() / 1e6:,.0f} MB, {before / 1e6:,.0f} MB before")
    flag_some_segments(engine)
    for view in ("ra_queue", "daily_stats"):
        print(f"{view}: {query_time(engine, f'SELECT * FROM podcast_catalog.{view}') * 1000:,.1f} ms")
    ordered = "SELECT * FROM podcast_catalog.ra_queue ORDER BY judged_at DESC LIMIT 100"
    print(f"ra_queue, the newest 100: {query_time(engine, ordered) * 1000:,.1f} ms")


@contextmanager
def timed(what: str) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(
        f"{what}: {time.perf_counter() - wall:,.2f} s ({time.process_time() - cpu:,.2f} s of the client's CPU)",
        flush=True,
    )


def query_time(engine: Engine, query: str) -> float:
    times = []
    with engine.connect() as connection:
        for _ in range(20):
            start = time.perf_counter()
            connection.execute(text(query)).all()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_memory() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
