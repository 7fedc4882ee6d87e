"""What a reviewer is at: a queue, its restriction and an item, as they stand in addresses and forms."""

from dataclasses import dataclass, field, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Form

from podcast_assets.review.queues import Queue, QueueFilter
from podcast_assets.review.refs import ItemKind, ItemRef


@dataclass(frozen=True)
class Work:
    """A queue and its restriction; for the queue `search`, what is searched for."""

    queue: Queue
    only: QueueFilter = field(default_factory=QueueFilter)
    words: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """Fields of addresses and forms."""
        fields = {
            "queue": self.queue,
            "only_batch": self.only.batch,
            "only_podcast": self.only.podcast,
            "only_language": self.only.language,
            "only_policy": self.only.policy,
            "words": self.words,
        }
        return {name: value for name, value in fields.items() if value}

    def for_queue(self, queue: Queue) -> "Work":
        """Return the same restriction for another queue."""
        return replace(self, queue=queue)

    def segment_address(self, ref: ItemRef, segment_id: str) -> str:
        """Address of the page of a segment that belongs to an item."""
        return replace(self, queue="search").item_address(ItemRef.segment(ref.batch, ref.episode_id, segment_id))

    def next_address(self, said: str | None = None) -> str:
        """Address that leads to the next item."""
        return f"/next?{urlencode(self.fields | _optional(said=said))}"

    def item_address(self, ref: ItemRef, said: str | None = None) -> str:
        """Address of an item's page."""
        return f"/item?{urlencode(ref_fields(ref) | self.fields | _optional(said=said))}"


def ref_fields(ref: ItemRef) -> dict[str, str]:
    """Fields of addresses and forms that name an item."""
    return {"kind": ref.kind, "batch": ref.batch, "episode": ref.episode_id, "item": ref.item_id}


def _optional(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _query_ref(kind: ItemKind, batch: str, episode: str, item: str) -> ItemRef:
    return ItemRef(kind, batch, episode, item)


def _form_ref(
    kind: Annotated[ItemKind, Form()],
    batch: Annotated[str, Form()],
    episode: Annotated[str, Form()],
    item: Annotated[str, Form()],
) -> ItemRef:
    return ItemRef(kind, batch, episode, item)


def _query_work(
    queue: Queue = "search",
    only_batch: str = "",
    only_podcast: str = "",
    only_language: str = "",
    only_policy: str = "",
    words: str = "",
) -> Work:
    only = QueueFilter(only_batch or None, only_podcast or None, only_language or None, only_policy or None)
    return Work(queue, only, words)


def _form_work(
    queue: Annotated[Queue, Form()] = "search",
    only_batch: Annotated[str, Form()] = "",
    only_podcast: Annotated[str, Form()] = "",
    only_language: Annotated[str, Form()] = "",
    only_policy: Annotated[str, Form()] = "",
    words: Annotated[str, Form()] = "",
) -> Work:
    return _query_work(queue, only_batch, only_podcast, only_language, only_policy, words)


QueryRef = Annotated[ItemRef, Depends(_query_ref)]
"""A route's parameter: the item in the address."""
FormRef = Annotated[ItemRef, Depends(_form_ref)]
"""A route's parameter: the item in a form."""
QueryWork = Annotated[Work, Depends(_query_work)]
"""A route's parameter: the queue in the address."""
FormWork = Annotated[Work, Depends(_form_work)]
"""A route's parameter: the queue in a form."""
