"""Loading the phrases of a batch, in the transaction that loads the batch."""

import hashlib
import json
from collections.abc import Collection, Iterable
from itertools import groupby
from typing import TYPE_CHECKING

import polars as pl
from sqlalchemy import Connection, text

from podcast_assets.catalog.copying import copy_rows
from podcast_assets.catalog.search.languages import configuration
from podcast_assets.catalog.search.phrases import Phrase, SpokenSegment, merge_phrases
from podcast_assets.catalog.search.terms import to_search_text

if TYPE_CHECKING:
    from podcast_assets.catalog.loading.source import SourceTables

CONTEXT_WORDS = 12
"""Words of the next phrase that a phrase is also found by, so that words on both sides of a boundary are found together.

Half of the words that stand within ten words of each other across a boundary would be lost with none of them; docs/guides/search.md
has the figures.
"""
TERMS_VERSION = 1
"""Raise it when the same text gives other search terms: then all phrases are replaced when their batch is loaded again."""

_COLUMNS = {
    "phrase": pl.String,
    "batch": pl.String,
    "episode_id": pl.String,
    "phrase_index": pl.Int32,
    "segment_ids": pl.String,
    "start": pl.Float64,
    "end": pl.Float64,
    "speaker": pl.String,
    "language": pl.String,
    "configuration": pl.String,
    "text": pl.String,
    "own_terms": pl.String,
    "next_terms": pl.String,
}


def phrase_rows(
    batch: str, segments: pl.DataFrame, transcripts: pl.DataFrame, available: Collection[str]
) -> pl.DataFrame:
    """Make the phrases of a batch.

    Args:
        batch: name of the batch.
        segments: table `diarized_segments` of the batch.
        transcripts: table `transcripts` of the batch.
        available: text search configurations of the server.

    Returns:
        One row per phrase, as `replace_phrases` takes them.
    """
    spoken = transcripts.select("segment_id", "episode_id", "text", "language", "words").join(
        segments.select("segment_id", "start", "end", "speaker"), on="segment_id"
    )
    rows: list[tuple[object, ...]] = []
    for episode_id, group in groupby(spoken.sort("episode_id").iter_rows(named=True), lambda row: row["episode_id"]):
        found = merge_phrases(
            SpokenSegment(
                r["segment_id"],
                r["start"],
                r["end"],
                r["speaker"],
                r["language"],
                _storable(r["text"]),
                r["words"] or (),
            )
            for r in group
        )
        rows += _rows(batch, episode_id, found, available)
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def add_phrases(connection: Connection, source: "SourceTables") -> int:
    """Make the phrases of a batch that is loaded, in its transaction; return how many are new."""
    segments, transcripts = source.table("diarized_segments"), source.table("transcripts")
    if segments is None or transcripts is None:
        rows = pl.DataFrame(schema=_COLUMNS)
    else:
        rows = phrase_rows(source.batch, segments, transcripts, available_configurations(connection))
    return replace_phrases(connection, source.batch, rows)


def available_configurations(connection: Connection) -> frozenset[str]:
    """Return the text search configurations of the server."""
    return frozenset(connection.scalars(text("SELECT cfgname FROM pg_catalog.pg_ts_config")))


def replace_phrases(connection: Connection, batch: str, rows: pl.DataFrame) -> int:
    """Replace the phrases of a batch. Phrases that stay the same keep their embeddings. Commits nothing.

    Args:
        connection: connection in a transaction.
        batch: name of the batch.
        rows: its phrases, as `phrase_rows` makes them; without any, the batch is not searched any more.

    Returns:
        How many were not there before.
    """
    connection.execute(text(_STAGE))
    if rows.height:
        copy_rows(connection, "staged_phrases", rows)
    connection.execute(text(_DELETE), {"batch": batch})
    added = connection.execute(text(_INSERT)).rowcount
    connection.execute(text("DROP TABLE staged_phrases"))
    return added


def _rows(
    batch: str, episode_id: str, phrases: list[Phrase], available: Collection[str]
) -> Iterable[tuple[object, ...]]:
    terms = [to_search_text(phrase.text) for phrase in phrases]
    for number, phrase in enumerate(phrases):
        following = terms[number + 1] if number + 1 < len(terms) else ""
        context = " ".join(following.split(" ", CONTEXT_WORDS)[:CONTEXT_WORDS])
        config = configuration(phrase.language, available)
        content = (
            batch, episode_id, phrase.index, "{" + ",".join(map(_quoted, phrase.segment_ids)) + "}", phrase.start, phrase.end,
            phrase.speaker, phrase.language, config, phrase.text,
        )  # fmt: skip
        identity = json.dumps([TERMS_VERSION, *content, context], ensure_ascii=False)
        key = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        yield (key, *content, terms[number], context)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _storable(content: str) -> str:
    """A text as PostgreSQL takes it: it stores no NUL."""
    return content.replace("\0", "")


_STAGE = """
CREATE TEMPORARY TABLE staged_phrases (
    phrase uuid, batch text, episode_id text, phrase_index integer, segment_ids text[], "start" double precision,
    "end" double precision, speaker text, language text, configuration text, text text, own_terms text, next_terms text
) ON COMMIT DROP
"""
_DELETE = """
DELETE FROM podcast_catalog.phrases AS old
WHERE old.batch = :batch AND NOT EXISTS (SELECT FROM staged_phrases AS new WHERE new.phrase = old.phrase)
"""
_INSERT = """
INSERT INTO podcast_catalog.phrases (
    phrase, batch, episode_id, phrase_index, segment_ids, "start", "end", speaker, language, configuration, text, terms
)
SELECT
    phrase, batch, episode_id, phrase_index, segment_ids, "start", "end", speaker, language, configuration, text,
    setweight(to_tsvector(configuration::regconfig, own_terms), 'A')
    || setweight(to_tsvector(configuration::regconfig, next_terms), 'D')
FROM staged_phrases AS new
WHERE NOT EXISTS (SELECT FROM podcast_catalog.phrases AS old WHERE old.phrase = new.phrase)
"""
