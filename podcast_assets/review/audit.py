"""The audit log: events that somebody may ask about later. It never holds passwords, secrets or what was said in an episode."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, insert

from podcast_assets.catalog.tables import AUDIT
from podcast_assets.review.roles import User


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
    row = {
        "what": what,
        "user_id": user and user.user_id,
        "name": user.name if user else name,
        "address": address,
        "detail": dict(detail) if detail else None,
    }
    if isinstance(bind, Connection):
        bind.execute(insert(AUDIT).values(row))
    else:
        with bind.begin() as connection:
            connection.execute(insert(AUDIT).values(row))
