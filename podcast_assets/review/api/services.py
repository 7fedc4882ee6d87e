"""What the routes of the interface work with."""

import threading
import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine

from podcast_assets.common.errors import BadInput
from podcast_assets.config.settings import Settings
from podcast_assets.review.api.access import RateLimit, TokenGate
from podcast_assets.review.api.pipeline import Pipeline
from podcast_assets.review.api.records import WAITING
from podcast_assets.review.api.searching import SearchService
from podcast_assets.review.errors import LoginRefused
from podcast_assets.review.tokens import Scope, Token
from podcast_assets.store.store import Store

_COUNT_EVERY = 5.0
"""Seconds between listings of what waits."""


class WaitingCount:
    """Number of submissions that wait: those of the last listing, and those that this process has taken in since."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed = self._since = 0
        self._at = float("-inf")
        self._lock = threading.Lock()

    def count(self) -> int:
        """Count another one, and return how many there are with it."""
        with self._lock:
            now = time.monotonic()
            if now - self._at >= _COUNT_EVERY:
                self._listed, self._since, self._at = len(self._store.names(WAITING)), 0, now
            self._since += 1
            return self._listed + self._since


@dataclass
class ApiServices:
    """The catalog, the store, the pipeline and the settings, and what is remembered between requests."""

    settings: Settings = field(repr=False)
    engine: Engine
    store: Store
    pipeline: Pipeline

    def __post_init__(self) -> None:
        rate = self.settings.api_requests_per_second
        self.gate = TokenGate(self.engine)
        self.requests = RateLimit(rate, 2 * rate)
        # a token cannot be guessed; this keeps the database from being asked
        self.refusals = RateLimit(0.5, 30)
        self.waiting = WaitingCount(self.store)
        self.search = SearchService(self.settings, self.engine)


def api_services(request: Request) -> ApiServices:
    """Return the services of the interface that a request came to."""
    return request.app.state.services


Services = Annotated[ApiServices, Depends(api_services)]


def refuse_unknown_parameters(request: Request) -> None:
    """Dependency of all routes: a parameter that does not exist, which may be a misspelt filter, does not go unnoticed.

    Raises:
        BadInput: there is one.
    """
    route = request.scope["route"]
    known = [parameter.alias for parameter in route.dependant.query_params]
    if unknown := sorted(set(request.query_params) - set(known)):
        raise BadInput(f"there is no parameter {unknown[0][:50]!r}; there are: {', '.join(known) or 'none'}")


_BEARER = HTTPBearer(auto_error=False, description="`podcast-assets token add NAME --scope SCOPE` makes a token.")


class Requires:
    """Dependency of a route: a token that has one of some scopes."""

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes

    def __call__(
        self,
        request: Request,
        services: Services,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Token:
        """Return the token of a request.

        Raises:
            LoginRefused: there is none that is valid.
            NotAllowed: it has none of the scopes.
            TooMany: it, or the address, makes too many requests.
            CatalogAway: the database does not answer.
        """
        if given is None:
            raise LoginRefused("A token is needed: Authorization: Bearer …")
        address = request.client.host if request.client else "?"
        services.refusals.check(address)
        try:
            token = services.gate.check(given.credentials, *self.scopes)
        except LoginRefused:
            services.refusals.take(address)
            raise
        services.requests.take(str(token.token_id))
        return token


Submitter = Annotated[Token, Depends(Requires("submit"))]
Reader = Annotated[Token, Depends(Requires("read"))]
SubmitterOrReader = Annotated[Token, Depends(Requires("submit", "read"))]
Reviewer = Annotated[Token, Depends(Requires("review"))]
