"""What is decided about failures is carried out at once: by the queue of Dagster, and by the records of discards."""

import contextlib
import datetime
from collections.abc import Iterator

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.review.app.services import Services
from podcast_assets.review.errors import BadDecision
from podcast_assets.review.records import Action, Decision
from podcast_assets.review.refs import ItemRef
from podcast_assets.rights.discard import discard, undo_discard


@contextlib.contextmanager
def carry_out(services: Services, action: Action, ref: ItemRef, by: str, note: str | None) -> Iterator[None]:
    """Retry or discard an episode that failed while the block records the decision; other actions need nothing.

    A discard is taken back if the block fails. A retry is not: its batch is run once more, which changes nothing that is done.

    Args:
        services: the application's.
        action: what is decided.
        ref: the failure.
        by: name of the user.
        note: reason of a discard, if one was given.

    Raises:
        BadDecision: it cannot be carried out; nothing is recorded.
    """
    place = f"{ref.batch}/{ref.episode_id}"
    try:
        if action == "retry":
            if services.pipeline is None:
                raise BadDecision("this page cannot retry: use `podcast-assets retry`")
            services.pipeline.retry([ref.batch])
        elif action == "discard":
            now = datetime.datetime.now(datetime.UTC)
            discard(services.store, [place], note or "discarded in the review page", by, now)
    except (BadInput, Misconfigured) as error:
        raise BadDecision(str(error)) from error
    try:
        yield
    except Exception:
        if action == "discard":
            undo_discard(services.store, [place])
        raise


def take_back(services: Services, undone: Decision) -> None:
    """Take an episode back in whose discard was undone. A batch that runs again is not stopped."""
    if undone.action == "discard":
        with contextlib.suppress(BadInput):  # somebody took it back in already
            undo_discard(services.store, [f"{undone.ref.batch}/{undone.ref.episode_id}"])
