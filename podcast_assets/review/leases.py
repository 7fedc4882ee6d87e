"""Leases: which item a reviewer gets, and for how long nobody else does."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, func, select, text

from podcast_assets.catalog.tables import LEASES, QUEUE_ITEMS, SCHEMA
from podcast_assets.review import settling
from podcast_assets.review.errors import ItemGone, LeaseLost, NotAllowed
from podcast_assets.review.facts import lock_item, read_facts, read_item_decisions
from podcast_assets.review.lease_rows import LEASE as LEASE
from podcast_assets.review.lease_rows import other_holder, put_lease, remove_lease
from podcast_assets.review.queue_rows import queued_looks, remove_item
from podcast_assets.review.queues import Queue, QueueFilter
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import User

_NEXT = """
    SELECT q.item_kind, q.batch, q.episode_id, q.item_id, q.look FROM {schema}.queue_items q
    WHERE q.queue = :queue AND q.look IS NOT NULL AND q.look <= :last_look AND NOT (:user_id = ANY(q.seen_by)){filters}
        AND NOT EXISTS (
            SELECT FROM {schema}.leases l
            WHERE l.batch = q.batch AND l.item_kind = q.item_kind AND l.item_id = q.item_id AND l.look = q.look
                AND l.user_id <> :user_id AND l.until > clock_timestamp()
        )
    ORDER BY q.look DESC, q.priority, q.item_id LIMIT 1
"""
_LOCKED = _NEXT + " FOR UPDATE OF q SKIP LOCKED\n"
"""Reviewers who ask at the same moment pass over each other's choices. What makes an item one's own is the row of `leases`."""
_TRIES = 100
"""Items that a reviewer may lose to others, or that are gone, before the queue is called empty."""


@dataclass(frozen=True)
class Lease:
    """An item that a user has to himself until a moment."""

    ref: ItemRef
    queue: Queue
    look: int
    """1; 2 for the second, blind reviewer; 3 for the adjudicator."""
    until: datetime.datetime

    @property
    def blind(self) -> bool:
        """Whether nothing of the model's or another reviewer's judgment may be shown."""
        return self.look == 2


def next_item(
    engine: Engine,
    user: User,
    queue: Queue,
    only: QueueFilter | None = None,
    refs: Sequence[ItemRef] | None = None,
    duration: datetime.timedelta = LEASE,
) -> Lease | None:
    """Lease the next item of a queue; the one that the user has already, where a lease of this queue still runs.

    Nobody gets an item that he decided or skipped, or that somebody else has. Items that wait for a second reviewer or an
    adjudicator come first; only adjudicators get the latter.

    Args:
        engine: engine of the catalog.
        user: who asks.
        queue: the queue.
        only: restricts the queue.
        refs: items of the queue `search`, in order, which the caller searched for.
        duration: how long.

    Returns:
        The lease; None if nothing is left for this user.
    """
    if queue == "search":
        with engine.begin() as connection:
            running = _running_lease(connection, user, queue, duration)
        return running or _first_free(engine, user, refs or (), duration)
    restricted = {name: value for name, value in vars(only or QueueFilter()).items() if value is not None}
    filters = "".join(f" AND q.{name} = :only_{name}" for name in restricted)
    given = {
        "queue": queue,
        "user_id": user.user_id,
        "last_look": 3 if user.may("adjudicator") else 2,
        **{f"only_{name}": value for name, value in restricted.items()},
    }
    locked, any_ = (text(query.format(schema=SCHEMA, filters=filters)) for query in (_LOCKED, _NEXT))
    for number in range(_TRIES):
        with engine.begin() as connection:
            if number == 0 and (running := _running_lease(connection, user, queue, duration)) is not None:
                return running
            # all that is left may be locked for a moment, by others or because the queue is made again
            row = connection.execute(locked, given).first() or connection.execute(any_, given).first()
            if row is None:
                return None
            ref = _ref_of(row)
            try:
                read_facts(connection, ref)
            except ItemGone:  # the batch was loaded again, and its queue will be made again
                remove_item(connection, ref)
                continue
            until = put_lease(connection, user, ref, queue, row.look, duration)
            if until is not None:
                return Lease(ref, queue, row.look, until)
    return None


def lease_item(
    engine: Engine, user: User, ref: ItemRef, queue: Queue = "search", duration: datetime.timedelta = LEASE
) -> Lease:
    """Lease a given item, such as one that a link leads to. A user may lease again what he decided himself.

    Raises:
        LeaseLost: somebody else has it.
        NotAllowed: it is to be adjudicated, and the user is not an adjudicator.
        ItemGone: it is not in the catalog.
    """
    with engine.begin() as connection:
        lock_item(connection, ref)
        read_facts(connection, ref)
        standing = settling.standing_decisions(read_item_decisions(connection, ref))
        own = settling.own_look(standing, user.user_id)
        look = (
            own or settling.next_look(standing, queued_looks(connection, ref)) or (3 if user.may("adjudicator") else 1)
        )
        if look == 3 and not user.may("adjudicator"):
            raise NotAllowed("Two reviewers disagree: only an adjudicator may decide.")
        until = put_lease(connection, user, ref, queue, look, duration)
        if until is None:
            raise LeaseLost(
                f"{other_holder(connection, ref, look, user.user_id) or 'Somebody else'} is at work on this."
            )
    return Lease(ref, queue, look, until)


def renew(engine: Engine, user: User, ref: ItemRef, duration: datetime.timedelta = LEASE) -> Lease:
    """Prolong a lease while the user is at work. One that ran out is renewed too, unless somebody else got the item.

    Raises:
        LeaseLost: somebody else has it, or has decided it.
    """
    ours = (LEASES.c.batch == ref.batch) & (LEASES.c.item_kind == ref.kind) & (LEASES.c.item_id == ref.item_id)
    with engine.begin() as connection:
        found = select(LEASES).where(ours, LEASES.c.user_id == user.user_id).order_by(LEASES.c.until.desc())
        row = connection.execute(found).mappings().first()
        until = None if row is None else put_lease(connection, user, ref, row["queue"], row["look"], duration)
    if row is None or until is None:
        raise LeaseLost("Somebody else has this now, or it was decided meanwhile.")
    return Lease(ref, row["queue"], row["look"], until)


def release(engine: Engine, user: User, ref: ItemRef) -> None:
    """Give an item back; nothing happens if the user does not have it."""
    with engine.begin() as connection:
        remove_lease(connection, ref, user.user_id)


def _running_lease(connection: Connection, user: User, queue: Queue, duration: datetime.timedelta) -> Lease | None:
    """Prolong the user's lease of a queue that still runs, whose item is still to be reviewed."""
    c, q = LEASES.c, QUEUE_ITEMS.c
    ours = (c.user_id == user.user_id) & (c.queue == queue) & (c.until > func.clock_timestamp())
    query = select(LEASES).where(ours).order_by(c.until.desc())
    for row in connection.execute(query).all():
        same = (q.queue == queue) & (q.batch == row.batch) & (q.item_kind == row.item_kind) & (q.item_id == row.item_id)
        open_ = queue == "search" or connection.scalar(select(q.look).where(same, q.look == row.look)) is not None
        ref = _ref_of(row)
        if open_ and (until := put_lease(connection, user, ref, queue, row.look, duration)) is not None:
            return Lease(ref, queue, row.look, until)
        remove_lease(connection, ref, user.user_id)
    return None


def _first_free(engine: Engine, user: User, refs: Sequence[ItemRef], duration: datetime.timedelta) -> Lease | None:
    """Lease the first of some items that is to be reviewed, and free for the user."""
    for ref in refs:
        with engine.connect() as connection:
            standing = settling.standing_decisions(read_item_decisions(connection, ref))
            look = settling.next_look(standing, queued_looks(connection, ref))
        if look is None or user.user_id in settling.seen_by(standing):
            continue
        try:
            return lease_item(engine, user, ref, "search", duration)
        except (LeaseLost, NotAllowed, ItemGone):
            continue  # somebody else's, or gone since the search
    return None


def _ref_of(row: Row) -> ItemRef:
    return ItemRef(row.item_kind, row.batch, row.episode_id, row.item_id)
