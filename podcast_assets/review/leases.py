"""Leases: which item a reviewer gets, and for how long nobody else does."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from podcast_assets.review.accounts import User
from podcast_assets.review.queues import Queue, QueueFilter
from podcast_assets.review.refs import ItemRef

LEASE = datetime.timedelta(minutes=15)


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
    raise NotImplementedError


def lease_item(
    engine: Engine, user: User, ref: ItemRef, queue: Queue = "search", duration: datetime.timedelta = LEASE
) -> Lease:
    """Lease a given item, such as one that a link leads to. A user may lease again what he decided himself.

    Raises:
        LeaseLost: somebody else has it.
        NotAllowed: it is to be adjudicated, and the user is not an adjudicator.
        ItemGone: it is not in the catalog.
    """
    raise NotImplementedError


def renew(engine: Engine, user: User, ref: ItemRef, duration: datetime.timedelta = LEASE) -> Lease:
    """Prolong a lease while the user is at work. One that ran out is renewed too, unless somebody else got the item.

    Raises:
        LeaseLost: somebody else has it, or has decided it.
    """
    raise NotImplementedError


def release(engine: Engine, user: User, ref: ItemRef) -> None:
    """Give an item back; nothing happens if the user does not have it."""
    raise NotImplementedError
