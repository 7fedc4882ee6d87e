"""Tokens of programs that use the HTTP interface."""

import base64
import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine, RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from podcast_assets.catalog.tables import TOKENS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.audit import audit
from podcast_assets.review.errors import LoginRefused, NotAllowed
from podcast_assets.review.secrets import derive, hash_secret, new_secret

Scope = Literal["submit", "read", "review", "admin"]
SCOPES: tuple[Scope, ...] = ("submit", "read", "review", "admin")
"""`admin` includes all others."""

_PREFIX = "pat_"
"""By which people, and programs that look for leaked secrets, recognize them."""
_MAX_NAME = 64
_USED = datetime.timedelta(minutes=1)
"""How exact `last_used_at` is, so that not every request writes."""


@dataclass(frozen=True)
class Token:
    """A token, without its secret."""

    token_id: uuid.UUID
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime.datetime
    disabled_at: datetime.datetime | None = None
    last_used_at: datetime.datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it is of a scope."""
        return scope in self.scopes or "admin" in self.scopes


def add_token(engine: Engine, name: str, scopes: Collection[Scope]) -> tuple[Token, str]:
    """Add a token.

    Returns:
        The token and its secret, which is not kept and cannot be shown again.

    Raises:
        BadInput: the name is taken or not allowed, or a scope does not exist.
    """
    name = name.strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise BadInput(f"a token has a name of 1 to {_MAX_NAME} printable characters")
    if not scopes or (set(scopes) - set(SCOPES)):
        raise BadInput(f"a token has some of the scopes {', '.join(SCOPES)}")
    secret = new_secret(_PREFIX)
    values = {"name": name, "secret_hash": hash_secret(secret), "scopes": [s for s in SCOPES if s in scopes]}
    with engine.begin() as connection:
        statement = upsert(TOKENS).values(values).on_conflict_do_nothing().returning(*TOKENS.columns)
        row = connection.execute(statement).mappings().first()
        if row is None:
            raise BadInput(f"there is a token {name} already, or was: choose another name")
        audit(connection, "token added", name=name, detail={"scopes": values["scopes"]})
    return _make_token(row), secret


def check_token(engine: Engine, secret: str, scope: Scope) -> Token:
    """Return the token whose secret it is.

    Raises:
        LoginRefused: there is none, or it is disabled.
        NotAllowed: it is not of that scope.
    """
    token = identify_token(engine, secret)
    if not token.may(scope):
        raise NotAllowed(f"The token is not of the scope {scope}.")
    return token


def identify_token(engine: Engine, secret: str) -> Token:
    """Return the token whose secret it is, whatever its scopes.

    Raises:
        LoginRefused: there is none, or it is disabled.
    """
    now = func.now()
    stale = (TOKENS.c.last_used_at.is_(None) | (TOKENS.c.last_used_at < now - _USED)).label("stale")
    with engine.connect() as connection:
        found = select(*TOKENS.columns, stale).where(TOKENS.c.secret_hash == hash_secret(secret))
        row = connection.execute(found).mappings().first()
        if row is None or row["disabled_at"] is not None:
            raise LoginRefused("The token is not valid.")
        if row["stale"]:
            connection.execute(update(TOKENS).where(TOKENS.c.token_id == row["token_id"]).values(last_used_at=now))
            connection.commit()
    return _make_token(row)


def list_tokens(engine: Engine) -> list[Token]:
    """List all tokens by name."""
    with engine.connect() as connection:
        return [_make_token(row) for row in connection.execute(select(TOKENS).order_by(TOKENS.c.name)).mappings()]


def disable_token(engine: Engine, name: str) -> None:
    """Disable a token for good.

    Raises:
        BadInput: there is no such token.
    """
    statement = update(TOKENS).where(TOKENS.c.name == name.strip()).returning(TOKENS.c.token_id)
    with engine.begin() as connection:
        values = {"disabled_at": func.coalesce(TOKENS.c.disabled_at, func.now())}
        if connection.scalar(statement.values(values)) is None:
            raise BadInput(f"there is no token {name}: `podcast-assets token list` lists them")
        audit(connection, "token disabled", name=name.strip())


def callback_secret(key: bytes, token_id: uuid.UUID) -> str:
    """Return the secret that callbacks of a token are signed with, `whsec_…` as the webhook's.

    It is derived from the deployment's key, so that no table holds it and it need not be kept.

    Args:
        key: `secrets.deployment_key(settings)`.
        token_id: id of the token.
    """
    return "whsec_" + base64.b64encode(derive(key, f"callbacks of {token_id}")).decode()


def _make_token(row: RowMapping) -> Token:
    times = (row["created_at"], row["disabled_at"], row["last_used_at"])
    return Token(row["token_id"], row["name"], tuple(row["scopes"]), *times)
