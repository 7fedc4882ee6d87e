"""Rows of `leases`, within a transaction of the caller."""

import datetime
import uuid

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from podcast_assets.catalog.tables import LEASES, USERS
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import User

LEASE = datetime.timedelta(minutes=15)


def put_lease(
    connection: Connection, user: User, ref: ItemRef, queue: str, look: int, duration: datetime.timedelta = LEASE
) -> datetime.datetime | None:
    """Lease an item, or prolong the user's own lease; those of others that ran out are replaced.

    Returns:
        Until when; None if somebody else has it.
    """
    # not the transaction's start: it may have waited for a lock
    now = func.clock_timestamp()
    values = {"queue": queue, "user_id": user.user_id, "until": now + duration}
    statement = insert(LEASES).values(
        item_kind=ref.kind, batch=ref.batch, item_id=ref.item_id, look=look, episode_id=ref.episode_id, **values
    )
    free = or_(LEASES.c.user_id == user.user_id, LEASES.c.until <= now)
    statement = statement.on_conflict_do_update(
        index_elements=[LEASES.c.batch, LEASES.c.item_kind, LEASES.c.item_id, LEASES.c.look], set_=values, where=free
    )
    return connection.scalar(statement.returning(LEASES.c.until))


def remove_lease(connection: Connection, ref: ItemRef, user_id: uuid.UUID) -> None:
    """Remove a user's leases of an item."""
    connection.execute(delete(LEASES).where(_of(ref), LEASES.c.user_id == user_id))


def other_holder(connection: Connection, ref: ItemRef, look: int, user_id: uuid.UUID) -> str | None:
    """Return the name of somebody else whose lease of an item runs; None if there is nobody."""
    running = (LEASES.c.look == look) & (LEASES.c.user_id != user_id) & (LEASES.c.until > func.clock_timestamp())
    return connection.scalar(select(USERS.c.name).join(LEASES).where(_of(ref), running))


def leased_from(connection: Connection, ref: ItemRef, look: int, user_id: uuid.UUID) -> str | None:
    """Return the queue that a user leased an item from for a look, also if the lease ran out and nobody else got it since."""
    ours = (LEASES.c.look == look) & (LEASES.c.user_id == user_id)
    return connection.scalar(select(LEASES.c.queue).where(_of(ref), ours))


def _of(ref: ItemRef) -> ColumnElement[bool]:
    return (LEASES.c.batch == ref.batch) & (LEASES.c.item_kind == ref.kind) & (LEASES.c.item_id == ref.item_id)
