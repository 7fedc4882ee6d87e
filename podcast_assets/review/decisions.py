"""Decisions: what reviewers said, which is added to and never changed."""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine

from podcast_assets.review.accounts import User
from podcast_assets.review.refs import ItemRef

Action = Literal[
    "label", "text", "rename_speaker", "reassign", "split", "join", "takedown", "retry", "discard", "skip", "undo"
]

FINISHING: frozenset[Action] = frozenset(("label", "text", "takedown", "retry", "discard", "skip"))
"""Actions that end the user's look at an item. After the others he goes on with it."""


@dataclass(frozen=True)
class Decision:
    """A row of `decisions`.

    `value` by action:

    - `label` (of a window): label's slug → true or false, for every label of the policy;
    - `text` (of a segment): {"text": the text, "words": [{"word", "start", "end", "probability"}]}, seconds on the episode's clock;
    - `rename_speaker`: {"scope": "episode" or "podcast", "speaker": label in the episode, "name": the name or null}; for a podcast,
      also "podcast" (`podcasts.podcast`);
    - `reassign`: {"segments": segment ids, "speaker": label};
    - `split` (of a segment): {"word": index of the first word of the second part, "at": seconds, "speakers": [label, label]};
    - `join` (of a segment): {"with": id of the segment after it};
    - `takedown`: {"scope": "episode" or "podcast", "reason": why}: a request, which the takedown carries out;
    - `retry`, `discard` (of a failure), `skip`, `undo`: none.
    """

    decision_id: uuid.UUID
    ref: ItemRef
    action: Action
    value: Any
    previous: Any
    """What held before, in the form of `value`."""
    shown: Any
    queue: str | None
    policy: str | None
    policy_version: str | None
    policy_hash: str | None
    confidence: float | None
    note: str | None
    seconds: float | None
    look: int
    undoes: uuid.UUID | None
    user_id: uuid.UUID | None
    decided_by: str
    role: str | None
    session: str | None
    decided_at: datetime.datetime
    reported_at: datetime.datetime | None = None


Standing = Literal["adjudicated", "agreed", "single", "disputed"]


@dataclass(frozen=True)
class Effective:
    """What holds of an item, for one action; of a label of a policy, for one label.

    Of several decisions of one user the newest counts, and what was undone does not. An adjudication takes precedence; then two who
    agree; then the only one, or the newest of two who disagree, which is marked as disputed.
    """

    ref: ItemRef
    action: Action
    policy: str | None
    label: str | None
    value: Any
    standing: Standing
    decisions: tuple[uuid.UUID, ...]
    """The decisions that it follows from, the newest last."""
    reviewers: tuple[str, ...]
    decided_at: datetime.datetime


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
        queue: queue that the item came from.
        shown: `Item.shown()` of what the user saw.
        confidence: how sure the user is, 0 to 1.
        note: the user's note.
        seconds: how long the user looked at it.
        session: `Session.session_id`.
        token: id chosen by the caller, so that the same request twice makes one decision.

    Raises:
        BadDecision: the value is not one for this action and item.
        ItemGone: the item is not in the catalog.
        LeaseLost: somebody else has the item, or decided it meanwhile.
        NotAllowed: the user's role does not allow it.
    """
    raise NotImplementedError


def undo(engine: Engine, user: User, session: str | None = None) -> Decision | None:
    """Undo the user's newest decision of the last day that was not undone, by another row. The user gets the item back.

    Returns:
        The decision that was undone; None if there is none.

    Raises:
        LeaseLost: it was adjudicated or carried out meanwhile, so that it stays.
    """
    raise NotImplementedError


def history(engine: Engine, ref: ItemRef, user: User | None = None) -> list[Decision]:
    """Return the decisions about an item, the oldest first.

    Args:
        engine: engine of the catalog.
        ref: the item.
        user: who looks at it: without the decisions of others until he has decided himself, unless he is an adjudicator.
    """
    raise NotImplementedError


def read_decisions(
    engine: Engine, since: datetime.datetime | None = None, batch: str | None = None
) -> Iterator[Decision]:
    """Read decisions, the oldest first, in portions.

    Args:
        engine: engine of the catalog.
        since: only those that were made later.
        batch: only those about this batch.
    """
    raise NotImplementedError


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
    raise NotImplementedError
