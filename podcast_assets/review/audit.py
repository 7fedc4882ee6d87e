"""The audit log: events that somebody may ask about later. It never holds passwords, secrets or what was said in an episode."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine

from podcast_assets.review.accounts import User


def audit(
    bind: Engine | Connection,
    what: str,
    *,
    user: User | None = None,
    name: str | None = None,
    address: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event, such as `login`, `login refused`, `user added` or `export`.

    Args:
        bind: engine, or a connection whose transaction it belongs to.
        what: the event.
        user: who did it.
        name: a name that is not a user's, such as a token's or the one that was typed.
        address: where the request came from.
        detail: more of it, as JSON.
    """
    raise NotImplementedError
