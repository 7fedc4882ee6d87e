"""Candidates of a search, straight from the indexes: by words, and by meaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from podcast_assets.catalog.embeddings.vectors import vector_literal
from podcast_assets.catalog.search.filters import Filters, filters_sql
from podcast_assets.catalog.search.query import Query, tsquery_sql

RANKED = 4_000
"""Phrases with the query's words that are ranked. Ranking costs several microseconds each, and words that are in more phrases tell
little: then the best of the first so many are returned."""
EXACT = 3_000
"""Phrases that pass the filters up to which all of them are compared with the query's vector; above, the index is asked."""
_NEAREST = (200, 1_000)
"""How many nearest phrases are taken from the index before the filters are applied, and how many if too few of those pass. The
second is pgvector's largest `hnsw.ef_search`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phrase that an index returned."""

    phrase: UUID
    score: float


@dataclass(frozen=True, slots=True)
class WordCandidates:
    """Phrases with the words of a query, the best first."""

    found: Sequence[Candidate]
    cut: bool
    """Whether there were more than were ranked."""
    only_stop_words: bool
    """Whether the query has none but stop words in every language."""


def find_by_words(connection: Connection, query: Query, filters: Filters, limit: int) -> WordCandidates:
    """Find the phrases with the words of a query.

    A phrase also counts as having the first words of the phrase after it, if one of the words is its own. Its own words weigh ten
    times as much (`ts_rank_cd`).
    """
    conditions, parameters = filters_sql(filters)
    configurations = list(connection.scalars(text(_CONFIGURATIONS)))
    found: list[Candidate] = []
    ranked, known_words = 0, False
    for configuration in configurations:
        made = _make_tsquery(connection, query, configuration)
        if made is None:
            continue
        tsquery, own_words = made
        known_words = True
        # an expression, so that no index on the column is read: it would return nearly all phrases
        own = ["p.configuration || '' = :configuration"] if len(configurations) > 1 else []
        statement = text(
            _WORDS.format(conditions=" AND ".join(["p.terms @@ CAST(:tsquery AS tsquery)", *own, *conditions]))
        )
        given: dict[str, Any] = {"tsquery": tsquery, "own": own_words, "ranked": RANKED, "limit": limit, **parameters}
        rows = connection.execute(statement, given | ({"configuration": configuration} if own else {})).all()
        found += [Candidate(row.phrase, row.rank) for row in rows]
        ranked = max(ranked, rows[0].ranked if rows else 0)
    found.sort(key=lambda candidate: (-candidate.score, candidate.phrase.int))
    return WordCandidates(found[:limit], ranked >= RANKED, bool(configurations) and not known_words)


def find_by_meaning(
    connection: Connection, model: str, vector: npt.NDArray[np.float32], filters: Filters, limit: int, *, enough: int
) -> list[Candidate]:
    """Find the phrases whose vectors have the largest inner product with a vector.

    Where few phrases pass the filters, all of them are compared. Otherwise the index returns the nearest phrases, and the filters
    are applied to them; if fewer than `enough` pass, more are taken, at last one after the other until `enough` pass.
    """
    conditions, parameters = filters_sql(filters)
    parameters |= {"vector": vector_literal(vector), "limit": limit}
    names = {"model": model, "dimensions": len(vector), "conditions": " AND ".join(conditions) or "true"}
    if filters:
        passing = connection.execute(text(_PASSING.format(**names)), parameters | {"exact": EXACT}).scalar_one()
        if passing <= EXACT:
            return _read(connection, _EXACT.format(**names), parameters)
    for nearest in _NEAREST:
        if nearest < limit:
            continue
        connection.execute(text(f"SET LOCAL hnsw.ef_search = {nearest}"))
        found = _read(
            connection,
            (_NEAREST_FILTERED if filters else _NEAREST_ONLY).format(**names),
            parameters | {"nearest": nearest},
        )
        if len(found) >= enough or not filters:
            return found
    connection.execute(text("SET LOCAL hnsw.iterative_scan = relaxed_order"))
    return _read(connection, _ITERATIVE.format(**names), parameters | {"limit": enough})


def _make_tsquery(connection: Connection, query: Query, configuration: str) -> tuple[str, str] | None:
    """The query as PostgreSQL writes it, and one for any of its words in a phrase itself, which have the weight A.

    None if the query has stop words only, or nothing but exclusions is left of it.
    """
    sql, parameters = tsquery_sql(query, configuration)
    row = connection.execute(text(_PARSE.format(tsquery=sql)), parameters | {"tokens": " ".join(query.tokens)}).one()
    if row.tree in ("", "T"):
        return None
    own = [f"'{lexeme}':A" for lexeme in row.lexemes] + [f"'{prefix}':*A" for prefix in query.prefixes]
    return row.tsquery, " | ".join(own)


def _read(connection: Connection, sql: str, parameters: dict[str, Any]) -> list[Candidate]:
    used = {name: value for name, value in parameters.items() if f":{name}" in sql}
    return [Candidate(row.phrase, -row.distance) for row in connection.execute(text(sql), used)]


_PARSE = """
SELECT
    CAST(q AS text) AS tsquery, querytree(q) AS tree,
    tsvector_to_array(to_tsvector(CAST(:configuration AS regconfig), :tokens)) AS lexemes
FROM (SELECT {tsquery} AS q) AS parsed
"""
_CONFIGURATIONS = """
WITH RECURSIVE found AS (
    (SELECT configuration FROM podcast_catalog.phrases ORDER BY configuration LIMIT 1)
    UNION ALL
    SELECT (
        SELECT p.configuration FROM podcast_catalog.phrases AS p
        WHERE p.configuration > found.configuration ORDER BY p.configuration LIMIT 1
    )
    FROM found WHERE found.configuration IS NOT NULL
)
SELECT configuration FROM found WHERE configuration IS NOT NULL
"""
"""Reads one index entry per configuration instead of all phrases."""
_WORDS = """
SELECT phrase, rank, ranked FROM (
    SELECT
        phrase,
        terms @@ CAST(:own AS tsquery) AS is_own,
        ts_rank_cd('{{0.1, 0.1, 0.1, 1}}', terms, CAST(:tsquery AS tsquery)) AS rank,
        count(*) OVER () AS ranked
    FROM (
        SELECT p.phrase, p.terms
        FROM podcast_catalog.phrases AS p
        JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
        WHERE {conditions}
        LIMIT :ranked
    ) AS matching
) AS scored
WHERE is_own
ORDER BY rank DESC, phrase
LIMIT :limit
"""

_DISTANCE = "(v.vector::halfvec({dimensions})) <#> CAST(:vector AS halfvec({dimensions}))"
_NEAREST_ONLY = (
    f"SELECT v.phrase, {_DISTANCE} AS distance FROM podcast_catalog.embeddings AS v"
    f" WHERE v.model = '{{model}}' ORDER BY {_DISTANCE} LIMIT :limit"
)
_NEAREST_FILTERED = f"""
WITH near AS MATERIALIZED (
    SELECT v.phrase, {_DISTANCE} AS distance FROM podcast_catalog.embeddings AS v
    WHERE v.model = '{{model}}' ORDER BY {_DISTANCE} LIMIT :nearest
)
SELECT near.phrase, near.distance FROM near
JOIN podcast_catalog.phrases AS p ON p.phrase = near.phrase
JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
WHERE {{conditions}}
ORDER BY near.distance LIMIT :limit
"""
_ITERATIVE = f"""
SELECT * FROM (
    SELECT v.phrase, {_DISTANCE} AS distance FROM podcast_catalog.embeddings AS v
    JOIN podcast_catalog.phrases AS p ON p.phrase = v.phrase
    JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
    WHERE v.model = '{{model}}' AND {{conditions}}
    ORDER BY {_DISTANCE} LIMIT :limit
) AS relaxed ORDER BY distance
"""
_PASSING = """
SELECT count(*) FROM (
    SELECT FROM podcast_catalog.phrases AS p
    JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
    WHERE {conditions} LIMIT :exact + 1
) AS passing
"""
_EXACT = f"""
WITH passing AS MATERIALIZED (
    SELECT p.phrase FROM podcast_catalog.phrases AS p
    JOIN podcast_catalog.episodes AS e ON e.batch = p.batch AND e.episode_id = p.episode_id
    WHERE {{conditions}}
)
SELECT v.phrase, {_DISTANCE} AS distance
FROM passing JOIN podcast_catalog.embeddings AS v ON v.phrase = passing.phrase AND v.model = '{{model}}'
ORDER BY distance LIMIT :limit
"""
