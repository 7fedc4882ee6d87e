"""What the catalog knows of an item, as far as a decision about it needs it; and the lock that decisions about an item take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from podcast_assets.catalog.tables import CONTENT_FLAGS, DECISIONS, EPISODES, FAILURES, SEGMENTS
from podcast_assets.review.errors import ItemGone
from podcast_assets.review.records import Decision, make_decision
from podcast_assets.review.refs import ItemRef


@dataclass(frozen=True)
class Facts:
    """Facts of an item."""

    ref: ItemRef
    start: float = 0.0
    end: float = 0.0
    text: str | None = None
    segment_index: int | None = None
    podcast: str | None = None
    policy: str | None = None
    policy_version: str | None = None
    policy_hash: str | None = None
    verdicts: Mapping[str, bool | None] = field(default_factory=dict)
    """Label → whether the model says that it applies; None where the model gave no answer."""


def lock_item(connection: Connection, ref: ItemRef) -> None:
    """Let decisions about an item take turns, until the end of the transaction."""
    shared = func.pg_advisory_xact_lock_shared(func.hashtextextended(f"queue {ref.batch}", 0))
    connection.execute(select(shared))  # the batch is not being queued
    key = func.hashtextextended(f"review {ref.kind}/{ref.batch}/{ref.item_id}", 0)
    connection.execute(select(func.pg_advisory_xact_lock(key)))


def read_facts(connection: Connection, ref: ItemRef) -> Facts:
    """Read the facts of an item.

    Raises:
        ItemGone: it is not in the catalog.
    """
    reader = {"segment": _segment, "window": _window, "failure": _failure}[ref.kind]
    facts = reader(connection, ref)
    if facts is None:
        raise ItemGone("This item is not there any more: it was taken down, or made again.")
    return facts


def read_item_decisions(connection: Connection, ref: ItemRef) -> list[Decision]:
    """Read all decisions about an item, the oldest first."""
    c = DECISIONS.c
    ours = (c.batch == ref.batch) & (c.item_kind == ref.kind) & (c.item_id == ref.item_id)
    query = select(DECISIONS).where(ours).order_by(c.decided_at, c.decision_id)
    return [make_decision(row) for row in connection.execute(query).mappings()]


def _podcast(connection: Connection, ref: ItemRef) -> str | None:
    c = EPISODES.c
    return connection.scalar(select(c.podcast).where(c.batch == ref.batch, c.episode_id == ref.episode_id))


def _segment(connection: Connection, ref: ItemRef) -> Facts | None:
    c = SEGMENTS.c
    ours = (c.batch == ref.batch) & (c.segment_id == ref.item_id) & (c.episode_id == ref.episode_id)
    row = connection.execute(select(c.start, c.end, c.text, c.segment_index).where(ours)).first()
    return (
        None if row is None else Facts(ref, row.start, row.end, row.text, row.segment_index, _podcast(connection, ref))
    )


def _window(connection: Connection, ref: ItemRef) -> Facts | None:
    c = CONTENT_FLAGS.c
    try:
        policy, window = ref.policy_and_window
    except ValueError:
        return None
    ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.policy == policy) & (c.window == window)
    rows = connection.execute(select(CONTENT_FLAGS).where(ours).order_by(c.label)).mappings().all()
    if not rows:
        return None
    verdicts = {row["label"]: None if row["verdict"] == "needs_review" else row["verdict"] == "flagged" for row in rows}
    first = rows[0]
    return Facts(
        ref,
        first["start"],
        first["end"],
        podcast=_podcast(connection, ref),
        policy=policy,
        policy_version=first["policy_version"],
        policy_hash=first["policy_hash"],
        verdicts=verdicts,
    )


def _failure(connection: Connection, ref: ItemRef) -> Facts | None:
    c = FAILURES.c
    try:
        ours = (c.batch == ref.batch) & (c.episode_id == ref.episode_id) & (c.stage == ref.stage)
    except ValueError:
        return None
    found = connection.scalar(select(c.batch).where(ours))
    return Facts(ref, podcast=_podcast(connection, ref)) if found is not None else None
