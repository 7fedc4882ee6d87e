"""Tokens of programs that use the HTTP interface."""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

Scope = Literal["submit", "read", "review", "admin"]
SCOPES: tuple[Scope, ...] = ("submit", "read", "review", "admin")
"""`admin` includes all others."""


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
        BadInput: the name is taken or empty, or a scope does not exist.
    """
    raise NotImplementedError


def check_token(engine: Engine, secret: str, scope: Scope) -> Token:
    """Return the token whose secret it is.

    Raises:
        LoginRefused: there is none, or it is disabled.
        NotAllowed: it is not of that scope.
    """
    raise NotImplementedError


def list_tokens(engine: Engine) -> list[Token]:
    """List all tokens by name."""
    raise NotImplementedError


def disable_token(engine: Engine, name: str) -> None:
    """Disable a token for good.

    Raises:
        BadInput: there is no such token.
    """
    raise NotImplementedError


def callback_secret(key: bytes, token_id: uuid.UUID) -> str:
    """Return the secret that callbacks of a token are signed with, `whsec_…` as the webhook's.

    It is derived from the deployment's key (`settings.review_key`), so that no table holds it and it need not be kept.

    Args:
        key: the deployment's key.
        token_id: id of the token.
    """
    raise NotImplementedError
