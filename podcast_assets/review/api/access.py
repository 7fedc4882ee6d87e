"""Who asks: tokens, and limits on how often they do."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from podcast_assets.review.errors import LoginRefused, NotAllowed
from podcast_assets.review.secrets import hash_secret
from podcast_assets.review.tokens import Scope, Token, identify_token

FRESH = 5.0
"""Seconds for which a token is not looked up again, so that a disabled token is refused after as many."""
STALE = 300.0
"""Seconds for which a token that was looked up is taken while the database does not answer, so that submissions go on."""
RETRY_AFTER = 1.0
"""Seconds for which the database is not asked again after it did not answer."""
_MOST = 10_000
"""Tokens, and addresses, that are remembered."""


class CatalogAway(Exception):
    """The catalog's database does not answer."""


class TooMany(Exception):
    """There were too many requests."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until the next one is allowed."""


@dataclass
class _Known:
    token: Token
    at: float


class TokenGate:
    """Checks tokens against the catalog, and remembers them for a moment."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._away_until = float("-inf")

    def check(self, secret: str, *scopes: Scope) -> Token:
        """Return the token whose secret it is.

        Args:
            secret: the secret.
            scopes: scopes of which the token must have one.

        Raises:
            LoginRefused: there is no such token, or it is disabled.
            NotAllowed: it has none of the scopes.
            CatalogAway: the database does not answer, and the token is not known from before.
        """
        token = self._find(secret)
        if not any(token.may(scope) for scope in scopes):
            raise NotAllowed(f"The token is not of the scope {' or '.join(scopes)}.")
        return token

    def _find(self, secret: str) -> Token:
        key, now = hash_secret(secret), self._clock()
        with self._lock:
            known = self._known.get(key)
        if known is not None and now - known.at < FRESH:
            return known.token
        try:
            token = self._ask(secret, now)
        except CatalogAway:
            if known is None or now - known.at >= STALE:
                raise
            return known.token
        except LoginRefused:
            with self._lock:
                self._known.pop(key, None)
            raise
        with self._lock:
            self._known[key] = _Known(token, now)
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return token

    def _ask(self, secret: str, now: float) -> Token:
        if now < self._away_until:
            raise CatalogAway
        try:
            return identify_token(self._engine, secret)
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            self._away_until = self._clock() + RETRY_AFTER
            raise CatalogAway from error


_AWAY = ("08", "57P", "53300")
"""Beginnings of codes of PostgreSQL: no connection, the server shuts down or starts, too many connections."""


def is_away(error: SQLAlchemyError) -> bool:
    """Whether an error says that the database does not answer, rather than that a statement is wrong."""
    from psycopg import InterfaceError, OperationalError

    if not isinstance(error, DBAPIError):
        return type(error).__name__ == "TimeoutError"  # no connection became free
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlstate", None)
    return code.startswith(_AWAY) if code else isinstance(error.orig, (OperationalError, InterfaceError))


class RateLimit:
    """Token buckets by name: so many requests per second, and a burst."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = per_second, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str) -> None:
        """Count a request.

        Raises:
            TooMany: there were too many.
        """
        now = self._clock()
        with self._lock:
            left = self._refilled(name, now)
            if left < 1:
                raise TooMany("Too many requests.", (1 - left) / self._rate)
            self._put(name, left - 1, now)

    def check(self, name: str) -> None:
        """Raise as `take` does, without counting."""
        now = self._clock()
        with self._lock:
            left = self._refilled(name, now)
        if left < 1:
            raise TooMany("Too many requests.", (1 - left) / self._rate)

    def _refilled(self, name: str, now: float) -> float:
        left, at = self._left.get(name, (self._burst, now))
        return min(self._burst, left + (now - at) * self._rate)

    def _put(self, name: str, left: float, now: float) -> None:
        self._left[name] = (left, now)
        self._left.move_to_end(name)
        while len(self._left) > _MOST:
            self._left.popitem(last=False)
