"""The table of vectors: adding, counting, removing, and its index.

One table holds the vectors of all models, whatever their length; each model has an index of its own, a partial one over an
expression that names the length, as pgvector recommends. Vectors are stored at half precision, which halves table and index.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np
import sqlalchemy
from sqlalchemy import Connection, Engine, text

from podcast_assets.catalog.embeddings.protocol import Vectors

M, EF_CONSTRUCTION = 16, 64
"""Links per vector and candidates while building, pgvector's defaults (Malkov and Yashunin, 2016)."""
MAX_DIMENSIONS = 4_000
"""What an index over `halfvec` takes."""
BUILD_MEMORY = "1GB"
"""Memory for building an index; beyond it, building becomes several times slower. A million vectors of 256 need about 1 GB."""
REBUILD_FROM = 20_000
"""Missing vectors from which on the index is dropped first and built afterwards, where they are also most of the vectors."""

_NO_MEMORY = ("53100", "53200")
"""SQLSTATE disk_full, which a full /dev/shm gives, and out_of_memory."""

log = logging.getLogger(__name__)


def index_name(model: str) -> str:
    """Name of a model's index."""
    return f"embeddings_{model.replace('-', '_')}"


def missing_phrases(
    connection: Connection, model: str, *, batch: str | None, at_once: int
) -> Iterator[tuple[Sequence[UUID], list[str]]]:
    """Iterate over the phrases without a vector of a model, in portions: their keys and texts.

    What is added while it iterates may or may not be included.
    """
    last: tuple[str, str, int] = ("", "", -1)
    where = "" if batch is None else "AND p.batch = :batch"
    statement = text(_MISSING.format(where=where))
    given: dict[str, object] = {"model": model, "at_once": at_once} | ({"batch": batch} if batch is not None else {})
    while rows := connection.execute(statement, given | dict(zip(("b", "e", "i"), last, strict=True))).all():
        last = (rows[-1].batch, rows[-1].episode_id, rows[-1].phrase_index)
        yield [row.phrase for row in rows], [row.text for row in rows]


def count_missing(connection: Connection, model: str, *, batch: str | None = None) -> int:
    """Count the phrases without a vector of a model."""
    where = "" if batch is None else "AND p.batch = :batch"
    given = {"model": model} | ({"batch": batch} if batch is not None else {})
    return connection.execute(text(_COUNT.format(where=where)), given).scalar_one()


def add_vectors(connection: Connection, model: str, phrases: Sequence[UUID], vectors: Vectors) -> int:
    """Add vectors of phrases. Phrases that were removed meanwhile, or got their vector from another process, are left out.

    Returns:
        How many were added.
    """
    connection.execute(text(_STAGE))
    raw = connection.connection.driver_connection
    assert raw is not None
    with raw.cursor() as cursor, cursor.copy("COPY staged_vectors FROM STDIN (FORMAT binary)") as copy:
        copy.write(_to_binary_copy(phrases, vectors))
    return connection.execute(text(_ADD), {"model": model}).rowcount


def vector_literal(vector: np.ndarray) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"


def has_index(connection: Connection, model: str) -> bool:
    """Whether the index of a model exists and is valid: building it may have been interrupted."""
    return bool(connection.execute(text(_HAS_INDEX), {"name": index_name(model)}).scalar())


def build_index(engine: Engine, model: str, dimensions: int) -> float:
    """Build the index of a model, unless it exists; return the seconds that it took.

    Meanwhile vectors can be read, and not be added.
    """
    started = time.monotonic()
    try:
        _create_index(engine, model, dimensions, workers=4)
    except sqlalchemy.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) not in _NO_MEMORY:
            raise
        # workers share memory that containers limit to 64 MB (/dev/shm)
        log.warning(
            "the index of %s is built by one process, because the server lacks shared memory for several", model
        )
        _create_index(engine, model, dimensions, workers=0)
    return time.monotonic() - started


def _create_index(engine: Engine, model: str, dimensions: int, *, workers: int) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"SET LOCAL maintenance_work_mem = '{BUILD_MEMORY}'"))
        connection.execute(text(f"SET LOCAL max_parallel_maintenance_workers = {workers}"))
        connection.execute(
            text(
                f"CREATE INDEX IF NOT EXISTS {index_name(model)} ON podcast_catalog.embeddings"
                f" USING hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops) WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
                f" WHERE model = '{model}'"
            )
        )


def drop_index(connection: Connection, model: str) -> None:
    """Drop the index of a model, if there is one."""
    connection.execute(text(f"DROP INDEX IF EXISTS podcast_catalog.{index_name(model)}"))


def models_with_vectors(connection: Connection) -> list[str]:
    """List the models that have vectors. Reads the whole table; see `has_vectors`."""
    return list(connection.scalars(text(_MODELS)))


def is_supported(connection: Connection) -> bool:
    """Whether the catalog can hold vectors: its server had pgvector when the catalog was made."""
    return connection.execute(text("SELECT to_regclass('podcast_catalog.embeddings')")).scalar() is not None


def has_vectors(connection: Connection, model: str) -> bool:
    """Whether a model has vectors."""
    found = connection.execute(
        text("SELECT 1 FROM podcast_catalog.embeddings WHERE model = :model LIMIT 1"), {"model": model}
    )
    return found.scalar() is not None


def remove_model(connection: Connection, model: str) -> int:
    """Remove all vectors of a model and its index; return how many there were."""
    drop_index(connection, model)
    return connection.execute(
        text("DELETE FROM podcast_catalog.embeddings WHERE model = :model"), {"model": model}
    ).rowcount


def _to_binary_copy(phrases: Sequence[UUID], vectors: Vectors) -> bytes:
    """Rows of (uuid, halfvec) in PostgreSQL's binary format of COPY, which all have one length."""
    dimensions = vectors.shape[1]
    rows = np.zeros(
        len(phrases),
        dtype=[
            ("fields", ">i2"), ("key_bytes", ">i4"), ("key", "V16"), ("vector_bytes", ">i4"), ("dimensions", ">i2"),
            ("unused", ">i2"), ("vector", ">f2", (dimensions,)),
        ],
    )  # fmt: skip
    rows["fields"], rows["key_bytes"], rows["vector_bytes"], rows["dimensions"] = 2, 16, 4 + 2 * dimensions, dimensions
    rows["key"] = np.frombuffer(b"".join(key.bytes for key in phrases), dtype="V16")
    rows["vector"] = vectors
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


_MISSING = """
SELECT p.phrase, p.text, p.batch, p.episode_id, p.phrase_index FROM podcast_catalog.phrases AS p
WHERE (p.batch, p.episode_id, p.phrase_index) > (:b, :e, :i) {where}
    AND NOT EXISTS (SELECT FROM podcast_catalog.embeddings AS e WHERE e.phrase = p.phrase AND e.model = :model)
ORDER BY p.batch, p.episode_id, p.phrase_index LIMIT :at_once
"""
"""In the order of the episodes, so that vectors of one episode lie together in the table: filtered searches read them together."""
_COUNT = """
SELECT count(*) FROM podcast_catalog.phrases AS p
WHERE NOT EXISTS (SELECT FROM podcast_catalog.embeddings AS e WHERE e.phrase = p.phrase AND e.model = :model) {where}
"""
_STAGE = "CREATE TEMPORARY TABLE staged_vectors (phrase uuid, vector halfvec) ON COMMIT DROP"
_ADD = """
INSERT INTO podcast_catalog.embeddings (phrase, model, vector)
SELECT s.phrase, :model, s.vector FROM staged_vectors AS s
JOIN podcast_catalog.phrases AS p ON p.phrase = s.phrase
ON CONFLICT DO NOTHING
"""
_HAS_INDEX = """
SELECT i.indisvalid FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'podcast_catalog' AND c.relname = :name
"""
_MODELS = "SELECT DISTINCT model FROM podcast_catalog.embeddings ORDER BY model"
