"""Takedowns that were asked for in the page. The page carries out none of them: the takedown does, a moment later."""

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, or_, select, update

from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import DECISIONS, EPISODES
from podcast_assets.common.errors import BadInput
from podcast_assets.review.facts import lock_item
from podcast_assets.review.refs import ItemRef
from podcast_assets.rights.takedown import TakedownRequest, TakedownResult, take_down
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import read_records

GRACE = datetime.timedelta(minutes=1)
"""Time to undo a request, because a takedown cannot be undone."""
ROLES = ("adjudicator", "admin")
"""Who may ask for a takedown."""


@dataclass(frozen=True)
class RequestedTakedown:
    """A request that was not undone, and whose episode is not taken down."""

    decision_id: uuid.UUID
    ref: ItemRef
    podcast: bool
    """Whether the whole podcast is to be taken down."""
    reason: str
    by: str
    at: datetime.datetime


@dataclass
class ExecutedTakedowns:
    """What became of the requests."""

    done: list[TakedownResult] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """`batch/episode_id` → why it could not be taken down; it is tried again."""


def pending_takedowns(engine: Engine, store: Store, now: datetime.datetime | None = None) -> list[RequestedTakedown]:
    """List the requests that are due, the oldest first.

    Args:
        engine: engine of the catalog.
        store: store with the records of takedowns.
        now: the time; requests younger than GRACE are not due.

    Raises:
        BadInput: a record of a takedown is invalid.
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    c, undoing = DECISIONS.c, DECISIONS.alias()
    due = (now or datetime.datetime.now(datetime.UTC)) - GRACE
    query = (
        select(c.decision_id, c.item_kind, c.batch, c.episode_id, c.item_id, c.value, c.decided_by, c.decided_at)
        .where(c.action == "takedown", c.role.in_(ROLES), c.batch.is_not(None), c.value.is_not(None))
        .where(or_(c.reported_at.is_not(None), c.decided_at <= due))
        .where(~select(undoing.c.decision_id).where(undoing.c.undoes == c.decision_id).exists())
        .order_by(c.decided_at)
    )
    with engine.connect() as connection:
        check_version(connection)
        rows = connection.execute(query).all()
    if not rows:
        return []
    finished = {
        place for record in read_records(store).to_dicts() if record["finished_at"] for place in record["episodes"]
    }
    return [
        RequestedTakedown(
            row.decision_id,
            ItemRef(row.item_kind, row.batch, row.episode_id, row.item_id or row.episode_id),
            row.value.get("scope") == "podcast",
            str(row.value.get("reason") or "asked for in the review page"),
            row.decided_by,
            row.decided_at,
        )
        for row in rows
        if f"{row.batch}/{row.episode_id}" not in finished
    ]


def execute_takedowns(
    engine: Engine,
    store: Store,
    *,
    shard_bytes: int,
    now: datetime.datetime | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> ExecutedTakedowns:
    """Take down what was asked for and is due. From then on a request cannot be undone. One that fails does not prevent the others.

    Args:
        engine: engine of the catalog.
        store: the store.
        shard_bytes: value of PODCAST_SHARD_BYTES.
        now: the time.
        report: called with lines about the progress.

    Raises:
        BadInput: a record of a takedown is invalid.
        StoreTrouble: the store cannot be reached or written to.
        SQLAlchemyError: the database does not answer.
    """
    found = ExecutedTakedowns()
    for requested in pending_takedowns(engine, store, now):
        place = f"{requested.ref.batch}/{requested.ref.episode_id}"
        if not _claim(engine, requested):
            continue
        try:
            name = _podcast_name(engine, requested.ref) if requested.podcast else place
            request = TakedownRequest(name, requested.reason, f"{requested.by} (review)", requested.at)
            found.done.append(take_down(store, request, shard_bytes=shard_bytes, report=report))
        except BadInput as error:
            found.failed[place] = str(error)
    return found


def _claim(engine: Engine, requested: RequestedTakedown) -> bool:
    """Mark a request as carried out, unless it was undone meanwhile. It is tried again until its episode is taken down."""
    c, undoing = DECISIONS.c, DECISIONS.alias()
    with engine.begin() as connection:
        lock_item(connection, requested.ref)
        if connection.scalar(select(undoing.c.decision_id).where(undoing.c.undoes == requested.decision_id)):
            return False
        ours = (c.decision_id == requested.decision_id) & c.reported_at.is_(None)
        connection.execute(update(DECISIONS).where(ours).values(reported_at=func.now()))
    return True


def _podcast_name(engine: Engine, ref: ItemRef) -> str:
    """Name of the podcast for a takedown: its guid, or its title.

    Raises:
        BadInput: the episode has no podcast.
    """
    c = EPISODES.c
    query = select(func.coalesce(c.podcast_id, c.podcast_title)).where(
        c.batch == ref.batch, c.episode_id == ref.episode_id
    )
    with engine.connect() as connection:
        name = connection.scalar(query)
    if not name:
        raise BadInput(f"{ref.batch}/{ref.episode_id} belongs to no known podcast: take the episode down instead")
    return name
