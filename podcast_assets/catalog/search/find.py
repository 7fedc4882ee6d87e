"""The search: candidates by words and by meaning, fused, with what people need to see of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import sqlalchemy
from sqlalchemy import Connection, text

from podcast_assets.catalog.embeddings import vectors
from podcast_assets.catalog.embeddings.choice import choose_embedder
from podcast_assets.catalog.embeddings.protocol import Embedder, model_name
from podcast_assets.catalog.embeddings.step import NO_PGVECTOR
from podcast_assets.catalog.opening import open_catalog
from podcast_assets.catalog.search.candidates import RANKED, Candidate, find_by_meaning, find_by_words
from podcast_assets.catalog.search.filters import Filters
from podcast_assets.catalog.search.query import parse_query, without_operators
from podcast_assets.catalog.search.results import Hit, SearchResults, time_link
from podcast_assets.common.errors import EngineUnavailable, Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine

Mode = Literal["words", "meaning", "both"]
RRF_K = 60
"""Constant of reciprocal rank fusion, as in its paper (Cormack, Clarke and Büttcher, SIGIR 2009)."""
MAX_HITS = 500
_CANDIDATES = 100
"""Fewest candidates that are taken by words and by meaning: what both find moves to the front."""
_SPARE = 3
"""Candidates per hit, because some are the same speech in another batch, or neighbours of a better hit."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A candidate's place in one list, from 1."""

    rank: int
    score: float


def search(
    query: str,
    *,
    mode: Mode = "both",
    filters: Filters | None = None,
    limit: int = 20,
    settings: Settings | None = None,
) -> SearchResults:
    """Search the catalog of the settings, once; see `Searcher.search`.

    Args:
        query: see `Searcher.search`, as the next three.
        mode: by words, by meaning, or both.
        filters: what the hits must be.
        limit: most hits.
        settings: the settings; by default those of the environment.
    """
    chosen = settings or Settings()
    with open_catalog(chosen) as database:
        embedder = choose_embedder(chosen) if mode != "words" else None
        return Searcher(database, embedder).search(query, mode=mode, filters=filters, limit=limit)


class Searcher:
    """Searches a catalog. Keeps the loaded embedder for the next search."""

    def __init__(self, database: sqlalchemy.Engine, embedder: Engine | None = None) -> None:
        """Make a searcher.

        Args:
            database: the catalog.
            embedder: settings of the embedder whose vectors the catalog has; None: only words can be searched.
        """
        self._database = database
        self._engine = embedder
        self._worker: Embedder | None = None
        self._model: str | None = None

    def search(
        self, query: str, *, mode: Mode = "both", filters: Filters | None = None, limit: int = 20
    ) -> SearchResults:
        """Search phrases.

        Args:
            query: words, "exact phrases", -exclusions, OR and prefix* (docs/guides/search.md). A search by meaning alone takes
                any text.
            mode: by words, by meaning, or both, fused by reciprocal rank. `both` does without the meaning where the catalog has no
                vectors, and says so in the notes.
            filters: what the hits must be.
            limit: most hits, up to `MAX_HITS`.

        Raises:
            BadInput: the query has no word to look for.
            Misconfigured: `meaning`, and the catalog has no vectors of the embedder.
            EngineUnavailable: `meaning`, and the embedder cannot be loaded.
        """
        filters = filters or Filters()
        limit = max(1, min(limit, MAX_HITS))
        wanted = max(_CANDIDATES, _SPARE * limit)
        notes: list[str] = []
        with self._database.begin() as connection:
            by_words = self._by_words(connection, query, filters, wanted, notes) if mode != "meaning" else []
            by_meaning = (
                self._by_meaning(connection, query, filters, wanted, limit, mode, notes) if mode != "words" else []
            )
            rows = _read_rows(connection, [c.phrase for c in (*by_words, *by_meaning)])
            ranked = _fuse(_rank(by_words, rows), _rank(by_meaning, rows), rows)
            chosen = _without_neighbours(ranked, rows)[:limit]
            around = _read_around(connection, [rows[key] for key, *_ in chosen])
        return SearchResults(tuple(_make_hit(rows[key], around, *ranks) for key, *ranks in chosen), tuple(notes))

    def _by_words(
        self, connection: Connection, query: str, filters: Filters, wanted: int, notes: list[str]
    ) -> Sequence[Candidate]:
        found = find_by_words(connection, parse_query(query), filters, wanted)
        if found.cut:
            notes.append(f"more than {RANKED:,} phrases have these words: the best of {RANKED:,} of them are shown")
        if found.only_stop_words:
            notes.append("the query has only words that are too common to be looked for, such as articles")
        return found.found

    def _by_meaning(
        self,
        connection: Connection,
        query: str,
        filters: Filters,
        wanted: int,
        limit: int,
        mode: Mode,
        notes: list[str],
    ) -> Sequence[Candidate]:
        try:
            model = self._check_model(connection)
            assert self._engine is not None
            if self._worker is None:
                self._worker = self._engine.load()
        except (EngineUnavailable, Misconfigured) as error:
            if mode == "meaning":
                raise
            notes.append(f"searched by words only: {error}")
            return ()
        sentence = without_operators(query)
        vector = self._worker.embed([sentence])[0]
        if not vector.any():
            notes.append("the embedder knows no word of the query: searched by words only")
            return ()
        return find_by_meaning(connection, model, vector, filters, wanted, enough=limit)

    def _check_model(self, connection: Connection) -> str:
        """Name of the model whose vectors are compared.

        Raises:
            Misconfigured: there is no embedder, or the catalog has no vectors of it.
            EngineUnavailable: the embedder is not available, so that its model is unknown.
        """
        if self._engine is None:
            raise Misconfigured("no embedder is set (PODCAST_EMBEDDER)")
        if self._model is None:
            if reason := self._engine.unavailable_reason():
                raise EngineUnavailable(reason)
            if not vectors.is_supported(connection):
                raise Misconfigured(NO_PGVECTOR)
            self._model = model_name(self._engine)
        model = self._model
        if not vectors.has_vectors(connection, model):
            present = vectors.models_with_vectors(connection)
            others = f" (it has some of {', '.join(present)})" if present else ""
            raise Misconfigured(
                f"the catalog has no vectors of the embedder {self._engine.name}{others}; `podcast-assets catalog embed` makes them"
            )
        return model


def _rank(candidates: Sequence[Candidate], rows: Mapping[UUID, Any]) -> dict[tuple[Any, ...], tuple[UUID, _Listed]]:
    """Places of a list's candidates by what was said: the same speech in another batch, or of a duplicate, counts once."""
    listed: dict[tuple[Any, ...], tuple[UUID, _Listed]] = {}
    for candidate in candidates:
        row = rows.get(candidate.phrase)
        if row is None:
            continue
        key = _speech_key(row)
        if key not in listed:
            listed[key] = (candidate.phrase, _Listed(len(listed) + 1, candidate.score))
        elif _place(row) < _place(rows[listed[key][0]]):
            listed[key] = (candidate.phrase, listed[key][1])
    return listed


def _fuse(
    words: Mapping[tuple[Any, ...], tuple[UUID, _Listed]],
    meaning: Mapping[tuple[Any, ...], tuple[UUID, _Listed]],
    rows: Mapping[UUID, Any],
) -> list[tuple[UUID, float, _Listed | None, _Listed | None]]:
    """Order by the sum of 1 / (60 + rank) over the lists."""
    fused = []
    for key in words.keys() | meaning.keys():
        found = [place for place in (words.get(key), meaning.get(key)) if place]
        score = sum(1 / (RRF_K + listed.rank) for _, listed in found)
        phrase = min((phrase for phrase, _ in found), key=lambda p: _place(rows[p]))
        fused.append(
            (phrase, score, words[key][1] if key in words else None, meaning[key][1] if key in meaning else None)
        )
    fused.sort(key=lambda item: (-item[1], _place(rows[item[0]])))
    return fused


def _without_neighbours(
    ranked: Sequence[tuple[UUID, Any, Any, Any]], rows: Mapping[UUID, Any]
) -> list[tuple[UUID, Any, Any, Any]]:
    """Leave out phrases that were found only by words of the phrase after them, which is a better hit itself."""
    kept: list[tuple[UUID, Any, Any, Any]] = []
    taken: set[tuple[Any, ...]] = set()
    for item in ranked:
        row = rows[item[0]]
        place = (row.batch, row.episode_id)
        if item[3] is None and (*place, row.phrase_index + 1) in taken:
            continue
        taken.add((*place, row.phrase_index))
        kept.append(item)
    return kept


def _speech_key(row: Any) -> tuple[Any, ...]:
    return (row.sha256 or row.episode_id, round(row.start, 2), row.text)


def _place(row: Any) -> tuple[Any, ...]:
    return (row.batch, row.episode_id, row.phrase_index)


def _read_rows(connection: Connection, phrases: Sequence[UUID]) -> dict[UUID, Any]:
    if not phrases:
        return {}
    return {row.phrase: row for row in connection.execute(text(_ROWS), {"phrases": list(dict.fromkeys(phrases))})}


def _read_around(connection: Connection, rows: Sequence[Any]) -> dict[tuple[Any, ...], str]:
    """Texts of the phrases before and after some phrases, by their place."""
    if not rows:
        return {}
    given = {
        "batches": [r.batch for r in rows],
        "episodes": [r.episode_id for r in rows],
        "indexes": [r.phrase_index for r in rows],
    }
    return {_place(row): row.text for row in connection.execute(text(_AROUND), given)}


def _make_hit(
    row: Any, around: Mapping[tuple[Any, ...], str], score: float, word: _Listed | None, meaning: _Listed | None
) -> Hit:
    batch, episode, index = _place(row)
    return Hit(
        batch=batch,
        episode_id=episode,
        podcast=row.podcast,
        title=row.title,
        published=row.published,
        start=row.start,
        end=row.end,
        speaker=row.speaker,
        language=row.language,
        text=row.text,
        before=around.get((batch, episode, index - 1), ""),
        after=around.get((batch, episode, index + 1), ""),
        segment_ids=tuple(row.segment_ids),
        link=time_link(row.url, row.start),
        source=row.source,
        score=score,
        word_rank=word.rank if word else None,
        meaning_rank=meaning.rank if meaning else None,
        similarity=meaning.score if meaning else None,
    )


_ROWS = """
SELECT
    p.phrase, p.batch, p.episode_id, p.phrase_index, p.segment_ids, p."start", p."end", p.speaker, p.language, p.text,
    coalesce(e.podcast_title, e.podcast) AS podcast, e.title, e.sha256, e.source,
    coalesce(e.metadata ->> 'url', e.url) AS url,
    to_char(e.published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS published
FROM podcast_catalog.phrases AS p
JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
WHERE p.phrase = ANY(:phrases)
"""
"""Phrases of episodes that are gone, after a takedown for example, have no row."""
_AROUND = """
SELECT p.batch, p.episode_id, p.phrase_index, p.text
FROM unnest(CAST(:batches AS text[]), CAST(:episodes AS text[]), CAST(:indexes AS integer[]))
    AS hit (batch, episode_id, phrase_index)
CROSS JOIN (VALUES (-1), (1)) AS step (step)
JOIN podcast_catalog.phrases AS p
    ON p.batch = hit.batch AND p.episode_id = hit.episode_id AND p.phrase_index = hit.phrase_index + step.step
"""
