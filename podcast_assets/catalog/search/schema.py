"""DDL of what search adds to the catalog: phrases and their vectors."""

PHRASES = (
    """
    CREATE TABLE podcast_catalog.phrases (
        phrase uuid PRIMARY KEY,
        batch text NOT NULL,
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
)
"""What searches by words need."""
EMBEDDINGS = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    """
    CREATE TABLE podcast_catalog.embeddings (
        phrase uuid NOT NULL REFERENCES podcast_catalog.phrases ON DELETE CASCADE,
        model text NOT NULL,
        vector halfvec NOT NULL,
        PRIMARY KEY (phrase, model)
    )
    """,
)
"""What searches by meaning need in addition: pgvector, which not every server has. Indexes are made with the vectors."""
