"""The table of vectors, which is made where the server has pgvector. Migrations would fail on servers without it."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from podcast_assets.common.errors import first_line

_STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    """
    CREATE TABLE IF NOT EXISTS podcast_catalog.embeddings (
        phrase uuid NOT NULL REFERENCES podcast_catalog.phrases ON DELETE CASCADE,
        model text NOT NULL,
        vector halfvec NOT NULL,
        PRIMARY KEY (phrase, model)
    )
    """,
)
"""Their indexes are made with the vectors."""


def prepare_vectors(connection: Connection) -> str | None:
    """Create the table of vectors if it does not exist.

    Returns:
        None, or why it was not created and what to do: searches by meaning need it.
    """
    if connection.execute(text("SELECT to_regclass('podcast_catalog.embeddings')")).scalar() is not None:
        return None
    try:
        with connection.begin_nested():
            for statement in _STATEMENTS:
                connection.execute(text(statement))
    except DBAPIError as error:
        return (
            f"no table for vectors was created, so that searches are by words only ({first_line(error.orig or error)}): install "
            "pgvector 0.8 or later on the server, let an administrator run CREATE EXTENSION vector, and migrate again"
        )
    return None
