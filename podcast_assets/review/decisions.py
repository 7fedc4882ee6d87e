"""Decisions: what reviewers said, which is added to and never changed."""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from podcast_assets.catalog.tables import DECISIONS
from podcast_assets.review import settling
from podcast_assets.review.errors import BadDecision, LeaseLost, NotAllowed
from podcast_assets.review.facts import lock_item, read_facts, read_item_decisions
from podcast_assets.review.lease_rows import leased_from, other_holder, put_lease, remove_lease
from podcast_assets.review.queue_rows import queued_looks, update_item
from podcast_assets.review.records import FINISHING as FINISHING
from podcast_assets.review.records import Action as Action
from podcast_assets.review.records import Decision as Decision
from podcast_assets.review.records import Effective as Effective
from podcast_assets.review.records import Standing as Standing
from podcast_assets.review.records import make_decision
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import Role, User
from podcast_assets.review.values import MAX_NOTE, check_value, clean_text, storable

_ROLES: Mapping[Action, Role] = {"takedown": "adjudicator", "retry": "adjudicator", "discard": "adjudicator"}
"""Action → the role that it needs; the others need that of a reviewer."""
_UNDO = datetime.timedelta(days=1)
_PORTION = 2_000
_LONGEST_LOOK = 4 * 3600.0
"""Seconds; who comes back to a page after that was not looking."""


def decide(
    engine: Engine,
    user: User,
    ref: ItemRef,
    action: Action,
    value: Any = None,
    *,
    queue: str | None = None,
    shown: Mapping[str, Any] | None = None,
    confidence: float | None = None,
    note: str | None = None,
    seconds: float | None = None,
    session: str | None = None,
    token: uuid.UUID | None = None,
) -> Decision:
    """Add a decision. Its policy, its look and what held before come from the catalog.

    If it ends the look, the lease is given back, and the item goes to the next reviewer or is done.

    Args:
        engine: engine of the catalog.
        user: who decides.
        ref: the item.
        action: what is decided; `undo` has a function of its own.
        value: see `Decision`.
        queue: queue that the item came from; the lease's if it is None.
        shown: `Item.shown()` of what the user saw.
        confidence: how sure the user is, 0 to 1.
        note: the user's note.
        seconds: how long the user looked at it.
        session: `Session.session_id`.
        token: id chosen by the caller, so that the same request twice makes one decision: it becomes the decision's id.

    Raises:
        BadDecision: the value is not one for this action and item.
        ItemGone: the item is not in the catalog.
        LeaseLost: somebody else has the item, or decided it meanwhile.
        NotAllowed: the user's role does not allow it.
    """
    if not user.may(_ROLES.get(action, "reviewer")) or user.disabled:
        raise NotAllowed(f"Only an {_ROLES.get(action, 'reviewer')} may do this.")
    if confidence is not None and not 0 <= confidence <= 1:
        raise BadDecision("the confidence is a number from 0 to 1")
    if note is not None and len(note) > MAX_NOTE:
        raise BadDecision(f"a note has at most {MAX_NOTE} characters")
    with engine.begin() as connection:
        lock_item(connection, ref)
        if token is not None and (known := _by_id(connection, token)) is not None:
            if (known.user_id, known.ref, known.action) != (user.user_id, ref, action):
                raise BadDecision("this request was made for something else")
            return known
        facts = read_facts(connection, ref)
        standing = settling.standing_decisions(read_item_decisions(connection, ref))
        look = _choose_look(connection, user, ref, action, standing)
        kept, previous = check_value(connection, facts, action, value, standing)
        row = {
            "item_kind": ref.kind,
            "batch": ref.batch,
            "episode_id": ref.episode_id,
            "item_id": ref.item_id,
            "queue": queue or leased_from(connection, ref, look, user.user_id),
            "action": action,
            "policy": facts.policy,
            "policy_version": facts.policy_version,
            "policy_hash": facts.policy_hash,
            "value": kept,
            "previous": previous,
            "shown": None if shown is None else storable(shown),
            "confidence": confidence,
            "note": clean_text(note).strip() or None if note else None,
            "seconds": None if seconds is None else min(max(0.0, seconds), _LONGEST_LOOK),
            "look": look,
            "user_id": user.user_id,
            "decided_by": user.name,
            "role": user.role,
            "session": session,
        } | ({"decision_id": token} if token else {})
        decision = make_decision(
            connection.execute(insert(DECISIONS).values(row).returning(*DECISIONS.columns)).mappings().one()
        )
        # the queue before the lease, as `next_item` locks them: the other way round they would wait for each other
        update_item(connection, ref, [*standing, decision])
        if action in FINISHING:
            remove_lease(connection, ref, user.user_id)
    return decision


def undo(engine: Engine, user: User, session: str | None = None) -> Decision | None:
    """Undo the user's newest decision of the last day that was not undone, by another row. The user gets the item back.

    Returns:
        The decision that was undone; None if there is none.

    Raises:
        LeaseLost: it was adjudicated or carried out meanwhile, so that it stays.
    """
    with engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"undo {user.user_id}", 0))))
        newest = _newest_of(connection, user, session)
        if newest is None:
            return None
        lock_item(connection, newest.ref)
        standing = settling.standing_decisions(read_item_decisions(connection, newest.ref))
        if any(d.look == 3 and d.user_id != user.user_id for d in standing) and newest.action in settling.JUDGING:
            raise LeaseLost("This was adjudicated meanwhile, and stays.")
        if newest.action in settling.ENDING and newest.reported_at is not None:
            raise LeaseLost("This was carried out already, and stays.")
        row = {
            "item_kind": newest.ref.kind,
            "batch": newest.ref.batch,
            "episode_id": newest.ref.episode_id,
            "item_id": newest.ref.item_id,
            "queue": newest.queue,
            "action": "undo",
            "policy": newest.policy,
            "policy_version": newest.policy_version,
            "policy_hash": newest.policy_hash,
            "look": newest.look,
            "undoes": newest.decision_id,
            "user_id": user.user_id,
            "decided_by": user.name,
            "role": user.role,
            "session": session,
        }
        connection.execute(insert(DECISIONS).values(row))
        remaining = [d for d in standing if d.decision_id != newest.decision_id]
        look = update_item(connection, newest.ref, remaining)
        if newest.action in FINISHING and look is not None and newest.queue is not None:
            put_lease(connection, user, newest.ref, newest.queue, look)
    return newest


def history(engine: Engine, ref: ItemRef, user: User | None = None) -> list[Decision]:
    """Return the decisions about an item, the oldest first.

    Args:
        engine: engine of the catalog.
        ref: the item.
        user: who looks at it: without the decisions of others until he has decided himself, unless he is an adjudicator.
    """
    with engine.connect() as connection:
        found = read_item_decisions(connection, ref)
    if user is None or user.may("adjudicator") or settling.own_look(settling.standing_decisions(found), user.user_id):
        return found
    return [d for d in found if d.user_id == user.user_id]


def read_decisions(
    engine: Engine, since: datetime.datetime | None = None, batch: str | None = None
) -> Iterator[Decision]:
    """Read decisions, the oldest first, in portions.

    Args:
        engine: engine of the catalog.
        since: only those that were made later.
        batch: only those about this batch.
    """
    c = DECISIONS.c
    query = select(DECISIONS).order_by(c.decided_at, c.decision_id)
    if since is not None:
        query = query.where(c.decided_at > since)
    if batch is not None:
        query = query.where(c.batch == batch)
    with engine.connect().execution_options(stream_results=True, yield_per=_PORTION) as connection:
        for row in connection.execute(query).mappings():
            yield make_decision(row)


def effective(
    engine: Engine, *, batch: str | None = None, ref: ItemRef | None = None, action: Action | None = None
) -> list[Effective]:
    """Return what holds, by item, action, policy and label.

    Args:
        engine: engine of the catalog.
        batch: only of this batch.
        ref: only of this item.
        action: only of this action.
    """
    c = DECISIONS.c
    query = select(DECISIONS).order_by(c.decided_at, c.decision_id)
    if batch is not None:
        query = query.where(c.batch == batch)
    if ref is not None:
        query = query.where(c.batch == ref.batch, c.item_kind == ref.kind, c.item_id == ref.item_id)
    if action is not None:
        query = query.where(c.action.in_([action, "undo"]))
    with engine.connect() as connection:
        return settling.settle(make_decision(row) for row in connection.execute(query).mappings())


def _choose_look(connection: Connection, user: User, ref: ItemRef, action: Action, standing: list[Decision]) -> int:
    """Return the look that a decision of this user belongs to.

    Raises:
        LeaseLost: somebody else has the item, or its review is complete.
        NotAllowed: it is to be adjudicated, and the user is not an adjudicator.
    """
    own = settling.own_look(standing, user.user_id)
    looks = queued_looks(connection, ref)
    following = settling.next_look(standing, looks)
    if own is not None:  # a change of mind, which does not count as another reviewer's look
        if own < 3 and any(d.look == 3 for d in standing):
            raise LeaseLost("This was adjudicated meanwhile.")
        return own
    if following is None and standing and any(d.action in settling.JUDGING | settling.ENDING for d in standing):
        if not user.may("adjudicator"):
            raise LeaseLost("This was reviewed meanwhile; an adjudicator may change it.")
        following = 3
    look = following or 1
    if look == 3 and not user.may("adjudicator"):
        raise NotAllowed("Two reviewers disagree: only an adjudicator may decide.")
    if (holder := other_holder(connection, ref, look, user.user_id)) is not None:
        raise LeaseLost(f"{holder} is at work on this.")
    if look == 2 and action in settling.JUDGING and leased_from(connection, ref, look, user.user_id) is None:
        # otherwise he may have seen what the first one said
        raise LeaseLost("A second look begins in its queue.")
    return look


def _by_id(connection: Connection, decision_id: uuid.UUID) -> Decision | None:
    found = select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)
    row = connection.execute(found).mappings().first()
    return None if row is None else make_decision(row)


def _newest_of(connection: Connection, user: User, session: str | None) -> Decision | None:
    """The user's newest decision that can be undone; of one session, if it is given."""
    c, undoing = DECISIONS.c, DECISIONS.alias()
    query = select(DECISIONS).where(
        c.user_id == user.user_id,
        c.action != "undo",
        c.decided_at > func.now() - _UNDO,
        ~select(undoing.c.decision_id).where(undoing.c.undoes == c.decision_id).exists(),
    )
    if session is not None:
        query = query.where(c.session == session)
    row = connection.execute(query.order_by(c.decided_at.desc()).limit(1)).mappings().first()
    return None if row is None else make_decision(row)
