"""Queues: what there is to review, and what is still open."""

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import astuple, dataclass
from itertools import groupby
from typing import Literal

from sqlalchemy import Connection, Engine, all_, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert

from podcast_assets.catalog.tables import BATCHES, DECISIONS, LEASES, QUEUE_BATCHES, QUEUE_ITEMS, SCHEMA
from podcast_assets.review import settling
from podcast_assets.review.chance import chance_sql
from podcast_assets.review.records import make_decision
from podcast_assets.review.roles import User

Queue = Literal[
    "flagged",
    "needs_review",
    "low_coverage",
    "low_confidence",
    "disagreement",
    "random",
    "failures",
    "sample",
    "search",
]

QUEUES: Mapping[Queue, str] = {
    "flagged": "Windows that a moderation policy flagged",
    "needs_review": "Windows that a moderation policy could not judge",
    "low_coverage": "Segments with speech that has no words",
    "low_confidence": "Segments that the recognizer was unsure of",
    "disagreement": "Segments where two recognizers disagree",
    "random": "A random sample of segments",
    "failures": "Episodes that failed",
    "sample": "Samples that measure errors, reviewed twice",
    "search": "What you search for",
}
"""Queue → what is in it."""


@dataclass(frozen=True)
class QueueFilter:
    """Restriction of a queue. None allows everything."""

    batch: str | None = None
    podcast: str | None = None
    """`podcasts.podcast` of the catalog."""
    language: str | None = None
    policy: str | None = None
    """Name of a moderation policy; only windows have one."""


@dataclass(frozen=True)
class QueueLength:
    """How much is in a queue."""

    open: int
    """Items that wait for any look."""
    mine: int
    """Open items that this user may get."""
    second: int
    """Open items that wait for the second look."""
    adjudication: int
    """Open items that wait for an adjudicator."""
    leased: int
    """Items that somebody is at work on."""
    done: int
    """Items whose review is complete."""


@dataclass(frozen=True)
class Criteria:
    """What belongs in the queues."""

    second_look: float = 0.1
    """Share of items that a second reviewer looks at, whatever the first one says."""
    random: float = 0.01
    """Share of all segments in the queue `random`."""
    avg_logprob: float = -0.8
    """Segments below are in `low_confidence`."""
    uncovered_speech: float = 1.0
    """Segments with at least so many seconds of speech without words are in `low_coverage`."""
    second_wer: float = 0.3
    """Segments where two recognizers differ at least so much are in `disagreement`."""


_KEY = "'{kind}/' || {alias}.batch || '/' || {item}"
_SEGMENTS = """
    SELECT '{queue}', 'segment', s.batch, s.segment_id, s.episode_id, e.podcast, coalesce(s.language, e.language), NULL,
        {priority}, {looks}
    FROM {schema}.segments s JOIN {schema}.episodes e USING (batch, episode_id) {join}
    WHERE s.batch = :batch AND {condition}
"""
_WINDOWS = """
    SELECT '{queue}', 'window', f.batch, {item}, f.episode_id, min(e.podcast), min(e.language), f.policy, {priority}, {looks}
    FROM {schema}.content_flags f JOIN {schema}.episodes e USING (batch, episode_id)
    WHERE f.batch = :batch
    GROUP BY f.batch, f.episode_id, f.policy, f."window" HAVING {condition}
"""
_WINDOW = "f.episode_id || '/' || f.policy || '/' || f.\"window\""
_FAILURES = """
    SELECT 'failures', 'failure', f.batch, f.stage || '/' || f.episode_id, f.episode_id, e.podcast, e.language, NULL,
        -extract(epoch FROM coalesce(f.failed_at, 'epoch'))::double precision, 1
    FROM {schema}.failures f LEFT JOIN {schema}.episodes e USING (batch, episode_id)
    WHERE f.batch = :batch
"""
_SAMPLES = """
    SELECT 'sample', m.item_kind, m.batch, m.item_id, min(m.episode_id), min(e.podcast), min(e.language), NULL, {priority}, 2
    FROM {schema}.samples m JOIN {schema}.episodes e USING (batch, episode_id)
    WHERE m.batch = :batch GROUP BY m.item_kind, m.batch, m.item_id
"""

_SET_STATE = f"""
    UPDATE {SCHEMA}.queue_items q SET look = n.look, seen_by = n.seen::uuid[]
    FROM unnest(CAST(:kinds AS text[]), CAST(:items AS text[]), CAST(:looks AS smallint[]), CAST(:seen AS text[]))
        AS n(item_kind, item_id, look, seen)
    WHERE q.batch = :batch AND q.item_kind = n.item_kind AND q.item_id = n.item_id
"""


def queue_lengths(engine: Engine, user: User, only: QueueFilter | None = None) -> dict[Queue, QueueLength]:
    """Count what is in each queue, but `search`."""
    c = QUEUE_ITEMS.c
    is_open, restricted = c.look.is_not(None), vars(only or QueueFilter())
    mine = is_open & (c.look <= (3 if user.may("adjudicator") else 2)) & (literal(user.user_id) != all_(c.seen_by))
    query = select(
        c.queue,
        func.count().filter(is_open).label("open"),
        func.count().filter(mine).label("mine"),
        func.count().filter(c.look == 2).label("second"),
        func.count().filter(c.look == 3).label("adjudication"),
        func.count().filter(c.look.is_(None)).label("done"),
    )
    query = query.where(*(c[name] == value for name, value in restricted.items() if value is not None)).group_by(
        c.queue
    )
    leased = select(LEASES.c.queue, func.count()).where(LEASES.c.until > func.now()).group_by(LEASES.c.queue)
    with engine.connect() as connection:
        counts = {row["queue"]: dict(row) for row in connection.execute(query).mappings()}
        at_work = {row[0]: row[1] for row in connection.execute(leased)}
    names = [f for f in QueueLength.__dataclass_fields__ if f != "leased"]
    return {
        queue: QueueLength(**{n: counts.get(queue, {}).get(n, 0) for n in names}, leased=at_work.get(queue, 0))
        for queue in QUEUES
        if queue != "search"
    }


def refresh_queues(engine: Engine, criteria: Criteria | None = None, batches: Collection[str] | None = None) -> int:
    """Queue the items of batches that were loaded since, or with other criteria.

    The application calls it every few seconds; whoever loads batches or restores decisions may do so at once.

    Args:
        engine: engine of the catalog.
        criteria: what belongs in the queues; the defaults if it is None.
        batches: batches to queue again in any case.

    Returns:
        Number of batches that were queued.
    """
    criteria = criteria or Criteria()
    digest, b, q = _digest(criteria), BATCHES.c, QUEUE_BATCHES.c
    stale = (
        select(b.batch)
        .outerjoin(QUEUE_BATCHES, b.batch == q.batch)
        .where(
            q.batch.is_(None) | (q.loaded_at != b.loaded_at) | (q.criteria != digest) | b.batch.in_(list(batches or ()))
        )
    )
    with engine.connect() as connection:
        todo = connection.scalars(stale.order_by(b.batch)).all()
    for batch in todo:
        with engine.begin() as connection:
            _queue_batch(connection, batch, criteria, digest)
    return len(todo)


def _queue_batch(connection: Connection, batch: str, criteria: Criteria, digest: str) -> None:
    """Make the items of a batch equal to what the catalog has, and their state to what was decided."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"queue {batch}", 0))))
    loaded_at = connection.scalar(select(BATCHES.c.loaded_at).where(BATCHES.c.batch == batch))
    if loaded_at is None:
        return  # it has left meanwhile, and its items with it
    names = "queue, item_kind, batch, item_id, episode_id, podcast, language, policy, priority, looks"
    connection.execute(
        text(f"CREATE TEMPORARY TABLE queued ON COMMIT DROP AS SELECT {names} FROM {SCHEMA}.queue_items LIMIT 0")
    )
    for query in _queries(criteria):
        connection.execute(text(f"INSERT INTO queued ({names}) {query}"), {"batch": batch, **vars(criteria)})
    same = "n.queue = q.queue AND n.item_kind = q.item_kind AND n.item_id = q.item_id"
    gone = f"DELETE FROM {SCHEMA}.queue_items q WHERE batch = :batch AND NOT EXISTS (SELECT FROM queued n WHERE {same})"
    connection.execute(text(gone), {"batch": batch})
    updated = ", ".join(f"{name} = excluded.{name}" for name in names.split(", ")[4:])
    connection.execute(
        text(
            f"INSERT INTO {SCHEMA}.queue_items AS q ({names}, look) SELECT {names}, 1 FROM queued "
            f"ON CONFLICT (queue, batch, item_kind, item_id) DO UPDATE SET {updated} "
            f"WHERE ({', '.join(f'q.{name}' for name in names.split(', ')[4:])}) "
            f"IS DISTINCT FROM ({', '.join(f'excluded.{name}' for name in names.split(', ')[4:])})"
        )
    )
    _apply_decisions(connection, batch)
    values = {"loaded_at": loaded_at, "criteria": digest}
    connection.execute(
        insert(QUEUE_BATCHES).values(batch=batch, **values).on_conflict_do_update(index_elements=["batch"], set_=values)
    )


def _queries(criteria: Criteria) -> Iterator[str]:
    """SQL for each queue, whose rows are items."""

    def second_look(kind: str, alias: str, item: str) -> str:
        share = chance_sql("'second look ' || " + _KEY.format(kind=kind, alias=alias, item=item))
        return f"CASE WHEN {share} < :second_look THEN 2 ELSE 1 END"

    def segments(queue: Queue, condition: str, priority: str, join: str = "") -> str:
        looks = second_look("segment", "s", "s.segment_id")
        return _SEGMENTS.format(
            queue=queue, priority=priority, looks=looks, schema=SCHEMA, join=join, condition=condition
        )

    def windows(queue: Queue, condition: str, priority: str) -> str:
        looks = second_look("window", "f", _WINDOW)
        return _WINDOWS.format(
            queue=queue, item=_WINDOW, priority=priority, looks=looks, schema=SCHEMA, condition=condition
        )

    flagged = "bool_or(f.verdict = 'flagged')"
    by_chance = chance_sql("'random ' || s.batch || '/' || s.segment_id")
    yield windows("flagged", flagged, "-max(coalesce(f.probability, 0))")
    yield windows(
        "needs_review",
        f"bool_or(f.verdict = 'needs_review') AND NOT {flagged}",
        "coalesce(extract(epoch FROM min(f.judged_at)), 0)::double precision + min(f.start) / 1e6",
    )
    yield segments("low_coverage", "s.uncovered_speech >= :uncovered_speech", "-s.uncovered_speech")
    yield segments("low_confidence", "s.avg_logprob < :avg_logprob", "s.avg_logprob")
    yield segments(
        "disagreement",
        "w.second_wer >= :second_wer",
        "-w.second_wer",
        f"JOIN {SCHEMA}.scores w ON w.batch = s.batch AND w.segment_id = s.segment_id",
    )
    yield segments("random", f"{by_chance} < :random", by_chance)
    yield _FAILURES.format(schema=SCHEMA)
    yield _SAMPLES.format(schema=SCHEMA, priority=chance_sql("'sample ' || m.batch || '/' || m.item_id"))


def _apply_decisions(connection: Connection, batch: str) -> None:
    """Write which look each decided item of a batch needs, and who has seen it."""
    d, q = DECISIONS.c, QUEUE_ITEMS.c
    query = select(DECISIONS).where(d.batch == batch).order_by(d.item_kind, d.item_id, d.decided_at, d.decision_id)
    decisions = [make_decision(row) for row in connection.execute(query).mappings()]
    looks = {
        (row.item_kind, row.item_id): row.looks
        for row in connection.execute(
            select(q.item_kind, q.item_id, func.max(q.looks).label("looks"))
            .where(q.batch == batch)
            .group_by(q.item_kind, q.item_id)
        )
    }
    states: dict[tuple[str, str], tuple[int | None, list[uuid.UUID]]] = {key: (1, []) for key in looks}
    for key, group in groupby(decisions, key=lambda decision: (decision.ref.kind, decision.ref.item_id)):
        if key in looks:
            standing = settling.standing_decisions(group)
            states[key] = settling.next_look(standing, looks[key]), sorted(settling.seen_by(standing))
    current = select(q.item_kind, q.item_id, q.look, q.seen_by).where(q.batch == batch)
    # only what differs: reviewers pass over rows that are being written
    wrong = {
        (row.item_kind, row.item_id)
        for row in connection.execute(current)
        if states[row.item_kind, row.item_id] != (row.look, sorted(row.seen_by))
    }
    if wrong:
        keys = sorted(wrong)
        connection.execute(
            text(_SET_STATE),
            {
                "batch": batch,
                "kinds": [kind for kind, _ in keys],
                "items": [item for _, item in keys],
                "looks": [states[key][0] for key in keys],
                "seen": ["{" + ",".join(map(str, states[key][1])) + "}" for key in keys],
            },
        )


def _digest(criteria: Criteria) -> str:
    return " ".join(f"{value:g}" for value in astuple(criteria))
