"""Decisions as they are kept, and what follows from them."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import RowMapping

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


def make_decision(row: RowMapping) -> Decision:
    """Make a decision from its row. One that was not made through the page may lack an item and a look: it counts as a first."""
    names = [name for name in Decision.__dataclass_fields__ if name not in ("ref", "look")]
    ref = ItemRef(row["item_kind"], row["batch"] or "", row["episode_id"], row["item_id"] or "")
    return Decision(ref=ref, look=row["look"] or 1, **{name: row[name] for name in names})
