"""Time until a reviewer has the next item.

    python -m benchmarks.review_queue [--items 100000] [--reviewers 50] [--seconds 60] [--think 2] [--decided 0.5] [--url postgresql://…]
    python -m benchmarks.review_queue --quick

Segments are made in a catalog of the embedded server, or of `--url`, whose schema podcast_catalog is dropped first. All are in the
queue `random`, a share of them decided already. Then each reviewer, a thread, takes the next item, thinks, and decides, again and
again. Printed: the time to queue all items, and of `next_item` and `decide` the median, the 95th and the 99th percentile.
"""

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, insert, text

from podcast_assets.catalog.connection import connect, embedded_server
from podcast_assets.catalog.migrate import migrate
from podcast_assets.catalog.tables import USERS
from podcast_assets.config.settings import Settings
from podcast_assets.review.decisions import decide
from podcast_assets.review.leases import next_item
from podcast_assets.review.queues import Criteria, queue_lengths, refresh_queues
from podcast_assets.review.roles import User

CRITERIA = Criteria(second_look=0.1, random=1)
PER_BATCH = 10_000
BATCH = """
    INSERT INTO podcast_catalog.batches VALUES (:batch, '1', false, now());
    INSERT INTO podcast_catalog.episodes (batch, episode_id, source, status, title, language)
        SELECT :batch, :batch || '-' || e, 'x.mp3', 'done', 'x', 'en' FROM generate_series(0, 63) e;
    INSERT INTO podcast_catalog.segments
            (batch, segment_id, episode_id, segment_index, start, "end", duration, speaker, text, language, flags, degraded)
        SELECT :batch, :batch || '-' || n % 64 || '-' || n, :batch || '-' || n % 64, n / 64, n, n + 1, 1, 'S0', 'what was said',
            'en', '{}', false FROM generate_series(1, :count) n;
"""
DECIDED = """
    INSERT INTO podcast_catalog.decisions (batch, episode_id, item_id, action, value, look, user_id, decided_by, queue)
        SELECT batch, episode_id, segment_id, 'text', '{"text": "what was said"}', 1, :user_id, 'reviewer0', 'random'
        FROM podcast_catalog.segments WHERE random() < :share
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="review_queue", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--reviewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=2, help="mean seconds between an item and its decision")
    parser.add_argument(
        "--decided", type=float, default=0.5, help="share of the items that the first reviewer decided before"
    )
    parser.add_argument("--url", help="of an empty database; by default the embedded server")
    parser.add_argument("--quick", action="store_true", help="1,000 items and 5 s, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.items, options.seconds, options.think, options.reviewers = 1_000, 5, 0.2, 8
    with tempfile.TemporaryDirectory(prefix="review-queue-") as folder:
        url = SecretStr(options.url) if options.url else None
        settings = Settings(dagster_home=Path(folder) / "home", catalog_url=url, catalog=True)
        try:
            measure(connect(settings), options)
        finally:
            if not options.url:
                embedded_server(settings).leave()


def measure(engine: Engine, options: argparse.Namespace) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS podcast_catalog CASCADE"))
    migrate(engine)
    # as many connections as a page of several processes would have
    engine = create_engine(engine.url, pool_size=20, max_overflow=0)
    with engine.begin() as connection:
        for number in range(max(1, options.items // PER_BATCH)):
            count = min(PER_BATCH, options.items)
            for statement in BATCH.split(";")[:-1]:
                connection.execute(text(statement), {"batch": f"batch-{number:03}", "count": count})
        names = [{"name": f"reviewer{n}", "role": "adjudicator"} for n in range(options.reviewers)]
        connection.execute(insert(USERS), names)
        found = connection.execute(
            text("SELECT user_id, name FROM podcast_catalog.users ORDER BY created_at, name")
        ).all()
        people = [User(row.user_id, row.name, "adjudicator") for row in found]
        first = next(user for user in people if user.name == "reviewer0")
        connection.execute(text(DECIDED), {"user_id": first.user_id, "share": options.decided})
    with timed(f"queue {options.items:,} items, {options.decided:.0%} of them decided"):
        refresh_queues(engine, CRITERIA)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    with timed("look for what changed"):
        refresh_queues(engine, CRITERIA)
    with timed("lengths of all queues"):
        print(queue_lengths(engine, people[0])["random"])
    times: dict[str, list[float]] = {"next_item": [], "decide": []}
    end = time.monotonic() + options.seconds
    threads = [threading.Thread(target=review, args=(engine, user, times, end, options.think)) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for what, seconds in times.items():
        cuts = statistics.quantiles(seconds, n=100)
        figures = ", ".join(
            f"{name} {1000 * cuts[cut - 1]:.1f} ms" for name, cut in (("median", 50), ("p95", 95), ("p99", 99))
        )
        print(f"{what}: {figures} ({len(seconds):,} times, {len(seconds) / options.seconds:.1f}/s)")
    engine.dispose()


def review(engine: Engine, user: User, times: dict[str, list[float]], end: float, think: float) -> None:
    generator = random.Random(user.name)
    time.sleep(generator.uniform(0, think))
    while time.monotonic() < end:
        started = time.perf_counter()
        lease = next_item(engine, user, "random")
        times["next_item"].append(time.perf_counter() - started)
        if lease is None:
            return
        time.sleep(generator.expovariate(1 / think) if think else 0)
        started = time.perf_counter()
        decide(engine, user, lease.ref, "text", {"text": generator.choice(["what was said", "something else"])})
        times["decide"].append(time.perf_counter() - started)


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - started:.3f} s")


if __name__ == "__main__":
    main()
