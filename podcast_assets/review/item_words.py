"""Words of segments with their times: from the catalog, or from the store where the catalog has no words."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import Connection, select

from podcast_assets.catalog.tables import BATCHES, WORDS
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store

_BATCHES = 4
"""Batches whose words stay in memory: about 30 MB each."""


@dataclass(frozen=True)
class Word:
    """A word. Times are seconds on the episode's clock; None where the recognizer gave none."""

    word: str
    start: float | None
    end: float | None
    probability: float | None = None


def read_words(
    connection: Connection, store: Store, batch: str, episode_id: str, segment_ids: Sequence[str]
) -> Mapping[str, Sequence[Word]]:
    """Read the words of segments.

    Returns:
        Segment → its words, the first said first; segments without words are left out.
    """
    about = connection.execute(select(BATCHES.c.words, BATCHES.c.loaded_at).where(BATCHES.c.batch == batch)).first()
    if about is None or not segment_ids:
        return {}
    if not about.words:
        stored = _stored_words(store, batch, about.loaded_at)
        rows = stored.filter(pl.col("segment_id").is_in(list(segment_ids))).iter_rows()
        return {segment_id: [Word(**word) for word in words] for segment_id, words in rows if words}
    found: dict[str, list[Word]] = {}
    c = WORDS.c
    query = select(c.segment_id, c.word, c.start, c.end, c.probability)
    ours = (c.batch == batch) & c.segment_id.in_(segment_ids)
    for row in connection.execute(query.where(ours).order_by(c.segment_id, c.position)):
        found.setdefault(row.segment_id, []).append(Word(row.word, row.start, row.end, row.probability))
    return found


@functools.lru_cache(_BATCHES)
def _stored_words(store: Store, batch: str, loaded_at: Any) -> pl.DataFrame:
    """Words of a batch by segment. Empty where the table is damaged or gone, which other commands report."""
    rows = CommittedTable.read_columns(store, "transcripts", batch, ["segment_id", "words"]).table
    return rows if rows is not None else pl.DataFrame(schema={"segment_id": pl.String, "words": pl.List(pl.Null)})
