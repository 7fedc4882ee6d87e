"""Rows of `queue_items`: their state follows from the decisions, within a transaction of the caller."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from podcast_assets.catalog.tables import QUEUE_ITEMS
from podcast_assets.review import settling
from podcast_assets.review.records import Decision
from podcast_assets.review.refs import ItemRef


def queued_looks(connection: Connection, ref: ItemRef) -> int:
    """Return how many reviewers must look at an item, by the queues that it is in; 1 if it is in none."""
    return connection.scalar(select(func.max(QUEUE_ITEMS.c.looks)).where(_of(ref))) or 1


def update_item(connection: Connection, ref: ItemRef, standing: Sequence[Decision]) -> int | None:
    """Write which look an item needs next, in all queues that it is in.

    Returns:
        The look; None if its review is complete.
    """
    look = settling.next_look(standing, queued_looks(connection, ref))
    values = {"look": look, "seen_by": sorted(settling.seen_by(standing))}
    connection.execute(update(QUEUE_ITEMS).where(_of(ref)).values(values))
    return look


def remove_item(connection: Connection, ref: ItemRef) -> None:
    """Remove an item that is not in the catalog from all queues."""
    connection.execute(delete(QUEUE_ITEMS).where(_of(ref)))


def _of(ref: ItemRef) -> ColumnElement[bool]:
    c = QUEUE_ITEMS.c
    return (c.batch == ref.batch) & (c.item_kind == ref.kind) & (c.item_id == ref.item_id)
