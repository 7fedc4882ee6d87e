"""Phrases, which are searched. The table of their vectors is made by `embeddings.schema`, where the server has pgvector."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE podcast_catalog.phrases (
        phrase uuid PRIMARY KEY,
        batch text NOT NULL REFERENCES podcast_catalog.batches ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        episode_id text NOT NULL,
        phrase_index integer NOT NULL,
        segment_ids text[] NOT NULL,
        "start" double precision NOT NULL,
        "end" double precision NOT NULL,
        speaker text,
        language text,
        configuration text NOT NULL,
        text text NOT NULL,
        terms tsvector NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX phrases_place ON podcast_catalog.phrases (batch, episode_id, phrase_index)",
    "CREATE INDEX phrases_configuration ON podcast_catalog.phrases (configuration)",
    "CREATE INDEX phrases_terms ON podcast_catalog.phrases USING gin (terms)",
    # the phrases of batches that are loaded already
    "UPDATE podcast_catalog.batches SET version = ''",
)


def upgrade() -> None:
    """Create the table, and have all batches loaded again."""
    for statement in _STATEMENTS:
        op.execute(statement)
