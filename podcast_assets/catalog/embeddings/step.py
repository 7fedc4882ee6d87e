"""Computing the vectors that are missing. Run it again to resume: each portion is committed on its own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy

from podcast_assets.catalog.embeddings import vectors
from podcast_assets.catalog.embeddings.protocol import Embedder, model_name
from podcast_assets.common.errors import Misconfigured
from podcast_assets.engines.engine import Engine

AT_ONCE = 4_096
"""Phrases that are embedded and committed together."""

NO_PGVECTOR = (
    "the catalog has no table for vectors, because its server lacked the extension vector (pgvector) when the catalog was made: "
    "install it, then run `podcast-assets catalog migrate`"
)

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Is called with how many vectors were added, and how many were missing."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What `embed_missing` did."""

    model: str
    added: int
    removed: int
    """Vectors of earlier models that were removed."""
    index_seconds: float
    """Time for building the index; 0 where it existed."""


def embed_missing(
    database: sqlalchemy.Engine,
    engine: Engine,
    *,
    batch: str | None = None,
    load: Callable[[], Embedder] | None = None,
    at_once: int = AT_ONCE,
    progress: Progress = lambda added, missing: None,
) -> Embedded:
    """Give each phrase without a vector of the engine's model one, and keep the model's index.

    When all phrases have their vector, those of other models are removed: a search uses one model.

    Args:
        database: the catalog.
        engine: the embedder's settings.
        batch: restricts it to one batch; other models' vectors are kept then.
        load: returns the embedder; by default `engine.load`. It is called only if a vector is missing.
        at_once: phrases that are embedded and committed together.
        progress: see `Progress`.

    Raises:
        EngineUnavailable: the embedder cannot be loaded.
        Misconfigured: its vectors are too long to be indexed, or the catalog's server has no pgvector.
    """
    engine.fetch()
    model = model_name(engine)
    with database.connect() as connection:
        if not vectors.is_supported(connection):
            raise Misconfigured(NO_PGVECTOR)
        missing = vectors.count_missing(connection, model, batch=batch)
    added, seconds = 0, 0.0
    if missing:
        embedder: Embedder = (load or engine.load)()
        if embedder.dimensions > vectors.MAX_DIMENSIONS:
            raise Misconfigured(
                f"the vectors of {engine.name} have {embedder.dimensions:,} numbers; an index takes {vectors.MAX_DIMENSIONS:,}"
            )
        _prepare_index(database, model, missing)
        with database.connect() as reading:
            for phrases, texts in vectors.missing_phrases(reading, model, batch=batch, at_once=at_once):
                computed = embedder.embed(texts)
                with database.begin() as connection:
                    added += vectors.add_vectors(connection, model, phrases, computed)
                progress(added, missing)
        seconds = vectors.build_index(database, model, embedder.dimensions)
    elif batch is None:
        seconds = _complete_index(database, model)
    return Embedded(model, added, _remove_others(database, model) if batch is None else 0, seconds)


def _prepare_index(database: sqlalchemy.Engine, model: str, missing: int) -> None:
    """Drop an index that would slow down adding most of its vectors: building it again is several times faster."""
    if missing < vectors.REBUILD_FROM:
        return
    with database.begin() as connection:
        existing = connection.execute(
            sqlalchemy.text("SELECT count(*) FROM podcast_catalog.embeddings WHERE model = :model"), {"model": model}
        ).scalar_one()
        if missing > existing:
            vectors.drop_index(connection, model)


def _complete_index(database: sqlalchemy.Engine, model: str) -> float:
    """Build an index that an interrupted run left out."""
    with database.connect() as connection:
        if vectors.has_index(connection, model):
            return 0.0
        dimensions = connection.execute(
            sqlalchemy.text("SELECT vector_dims(vector) FROM podcast_catalog.embeddings WHERE model = :model LIMIT 1"),
            {"model": model},
        ).scalar()
    return vectors.build_index(database, model, dimensions) if dimensions else 0.0


def _remove_others(database: sqlalchemy.Engine, model: str) -> int:
    removed = 0
    with database.begin() as connection:
        for other in vectors.models_with_vectors(connection):
            if other != model:
                removed += vectors.remove_model(connection, other)
    return removed
