"""Small catalogs that tests speak into."""

from collections.abc import Sequence

import polars as pl
import sqlalchemy
from sqlalchemy import text

from podcast_assets.catalog.search.load import available_configurations, phrase_rows, replace_phrases
from podcast_assets.store.schema import WORDS

Said = tuple[str, float, str]
"""Speaker, start in seconds, text."""


def tables(episode: str, said: Sequence[Said], language: str | None = "en") -> tuple[pl.DataFrame, pl.DataFrame]:
    """Segments and transcripts of an episode; each word takes 0.3 s."""
    segments, transcripts = [], []
    for index, (speaker, start, content) in enumerate(said):
        segment = f"{episode}-{index}"
        words = [
            {"word": w, "start": start + 0.3 * i, "end": start + 0.3 * i + 0.25, "probability": 0.9}
            for i, w in enumerate(content.split())
        ]
        segments.append({"segment_id": segment, "start": start, "end": start + 0.3 * len(words), "speaker": speaker})
        transcripts.append(
            {"segment_id": segment, "episode_id": episode, "text": content, "language": language, "words": words}
        )
    schema = {
        "segment_id": pl.String,
        "episode_id": pl.String,
        "text": pl.String,
        "language": pl.String,
        "words": WORDS,
    }
    return (
        pl.DataFrame(
            segments, schema={"segment_id": pl.String, "start": pl.Float64, "end": pl.Float64, "speaker": pl.String}
        ),
        pl.DataFrame(transcripts, schema=schema),
    )


def speak(
    database: sqlalchemy.Engine,
    episode: str,
    said: Sequence[Said],
    *,
    batch: str = "b1",
    language: str | None = "en",
    podcast: str = "Bread and Butter",
    sha256: str | None = None,
    url: str | None = None,
    published: str | None = None,
) -> int:
    """Add a batch of one episode, or replace it; return how many phrases are new."""
    segments, transcripts = tables(episode, said, language)
    row = {
        "batch": batch, "episode": episode, "podcast": podcast, "language": language, "sha256": sha256 or f"{batch}{episode}",
        "url": url, "published": published,
    }  # fmt: skip
    spoken = [dict(r, batch=batch, episode=episode, index=i) for i, r in enumerate(segments.iter_rows(named=True))]
    with database.begin() as connection:
        for statement in _ROWS:
            connection.execute(text(statement), row)
        if spoken:
            connection.execute(text(_SEGMENT), spoken)
        return replace_phrases(
            connection, batch, phrase_rows(batch, segments, transcripts, available_configurations(connection))
        )


_ROWS = (
    "INSERT INTO podcast_catalog.batches VALUES (:batch, '1', false, now()) ON CONFLICT DO NOTHING",
    "INSERT INTO podcast_catalog.podcasts VALUES (:podcast, 'guid', :podcast) ON CONFLICT DO NOTHING",
    """
    INSERT INTO podcast_catalog.episodes (
        batch, episode_id, podcast, source, status, title, podcast_title, podcast_id, language, url, published_at, sha256
    )
    VALUES (
        :batch, :episode, :podcast, :episode || '.mp3', 'done', 'Episode ' || :episode, :podcast, 'guid of ' || :podcast, :language,
        :url, CAST(:published AS timestamptz), :sha256
    )
    ON CONFLICT DO NOTHING
    """,
    "DELETE FROM podcast_catalog.segments WHERE batch = :batch",
)
_SEGMENT = """
INSERT INTO podcast_catalog.segments (
    batch, segment_id, episode_id, segment_index, "start", "end", duration, speaker, flags, degraded
)
VALUES (:batch, :segment_id, :episode, :index, :start, :end, 1, :speaker, '{}', false)
"""
