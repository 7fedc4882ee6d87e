"""Stand-ins for the tables of the catalog that search reads, with the columns that it reads."""

TABLES = (
    "CREATE SCHEMA podcast_catalog",
    """
    CREATE TABLE podcast_catalog.episodes (
        batch text, episode_id text, podcast text, podcast_id text, title text, language text, sha256 text, source text,
        metadata jsonb, PRIMARY KEY (batch, episode_id)
    )
    """,
    """
    CREATE TABLE podcast_catalog.scores (
        batch text, segment_id text, dnsmos_ovrl double precision, PRIMARY KEY (batch, segment_id)
    )
    """,
    """
    CREATE TABLE podcast_catalog.content_flags (
        batch text, episode_id text, policy text, label text, probability double precision, segment_ids text[]
    )
    """,
)
