"""Items: everything that the page shows of what is reviewed."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from podcast_assets.review.accounts import User
from podcast_assets.review.refs import ItemRef
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class Word:
    """A word. Times are seconds on the episode's clock; None where the recognizer gave none."""

    word: str
    start: float | None
    end: float | None
    probability: float | None = None


@dataclass(frozen=True)
class ItemSegment:
    """A segment, as it holds after the decisions so far."""

    segment_id: str
    start: float
    end: float
    speaker: str | None
    """Its label in the episode, `SPEAKER_00`."""
    speaker_name: str | None
    """The name that reviewers gave."""
    overlap: float | None
    text: str | None
    words: tuple[Word, ...]
    second_text: str | None
    reviewed_text: str | None = None
    """The text that reviewers decided on; None where they did not, and in blind reviews."""
    flags: tuple[str, ...] = ()
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Scores by the columns of the catalog's table `scores`; those that are missing are left out."""
    judged: bool = True
    """Whether it belongs to the item; context does not."""


@dataclass(frozen=True)
class ItemLabel:
    """A label of a moderation policy, and what the model said. The latter is None in blind reviews."""

    slug: str
    name: str
    probability: float | None
    threshold: float | None
    verdict: str | None
    reason: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why an episode failed."""

    stage: str
    error_type: str | None
    message: str | None
    traceback: str | None
    permanent: bool | None
    attempts: int | None
    failed_at: datetime.datetime | None


@dataclass(frozen=True)
class Item:
    """What the page shows of an item. Texts are as people said and publishers wrote them: escape them."""

    ref: ItemRef
    start: float
    """Seconds on the episode's clock; 0 for a failure."""
    end: float
    title: str | None
    podcast: str | None
    podcast_title: str | None
    language: str | None
    published_at: datetime.datetime | None
    duration: float | None
    before: tuple[ItemSegment, ...]
    segments: tuple[ItemSegment, ...]
    after: tuple[ItemSegment, ...]
    policy: str | None = None
    policy_version: str | None = None
    policy_hash: str | None = None
    policy_text: str | None = None
    """The policy's Markdown, where the policy is installed here in the version that judged; None otherwise."""
    labels: tuple[ItemLabel, ...] = ()
    failure: Failure | None = None
    blind: bool = False
    """Whether scores, flags and what others decided are left out."""

    def shown(self) -> dict[str, Any]:
        """Return what is kept with a decision as what the reviewer saw: texts, speakers, probabilities, whether blind."""
        raise NotImplementedError


def load_item(
    engine: Engine, store: Store, ref: ItemRef, *, user: User | None = None, blind: bool = False, context: int = 3
) -> Item:
    """Load an item.

    Args:
        engine: engine of the catalog.
        store: store that the words come from where the catalog has none.
        ref: the item.
        user: who looks at it; what others decided is left out until this user has decided, unless he is an adjudicator.
        blind: leave out scores, flags and what others decided.
        context: number of segments before and after.

    Raises:
        ItemGone: it is not in the catalog.
    """
    raise NotImplementedError


def load_items(engine: Engine, store: Store, refs: Sequence[ItemRef]) -> list[Item]:
    """Load items that exist, without context, for lists and exports."""
    raise NotImplementedError
