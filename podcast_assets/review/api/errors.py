"""Errors as answers: one JSON object with `detail`, which shows neither secrets nor what was sent."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from podcast_assets.catalog.connection import CatalogTrouble
from podcast_assets.common.errors import BadInput, EngineUnavailable, Misconfigured, first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.review.api.access import CatalogAway, TooMany, is_away
from podcast_assets.review.errors import ItemGone, LoginRefused, NotAllowed

log = logging.getLogger(__name__)

_SOON = 2.0
"""Seconds after which it is worth asking again for what is away for a moment."""

_OF_VALUES = ("22", "54")
"""Beginnings of codes of PostgreSQL: a value is not valid, or exceeds a limit, such as the length of a word."""


class NotFound(Exception):
    """What was asked for does not exist."""


class Conflict(Exception):
    """The request contradicts the state of things."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any) -> JSONResponse:
    """Make an answer that says why a request was refused."""
    return JSONResponse({"detail": redact_text(detail), **more}, status, dict(headers or {}))


def add_error_answers(app: FastAPI) -> None:
    """Translate exceptions of the routes."""
    fixed: dict[type[Exception], int] = {
        NotFound: 404,
        ItemGone: 404,
        Conflict: 409,
        NotAllowed: 403,
        BadInput: 422,
        EngineUnavailable: 503,
        Misconfigured: 503,
    }
    for kind, status in fixed.items():
        app.add_exception_handler(kind, _with_status(status))
    app.add_exception_handler(LoginRefused, _refuse_login)
    app.add_exception_handler(TooMany, _too_many)
    app.add_exception_handler(CatalogAway, _away)
    app.add_exception_handler(CatalogTrouble, _away)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(OSError, _store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _with_status(status: int) -> Any:
    def answer(_: Request, error: Exception) -> JSONResponse:
        return problem(status, str(error))

    return answer


def _refuse_login(_: Request, error: Exception) -> JSONResponse:
    return problem(401, str(error), {"WWW-Authenticate": "Bearer"})


def _too_many(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooMany)
    return problem(429, str(error), {"Retry-After": str(math.ceil(error.retry_after))})


def _away(_: Request, error: Exception) -> JSONResponse:
    return problem(503, "The catalog does not answer now; try again.", {"Retry-After": str(math.ceil(_SOON))})


def _database(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SQLAlchemyError)
    if is_away(error):
        return _away(request, error)
    if (getattr(getattr(error, "orig", None), "sqlstate", None) or "").startswith(_OF_VALUES):
        return problem(422, "The catalog cannot look for that: a value is too long, too large or of another form.")
    # not its text: it quotes statements and values
    log.error("%s %s: the catalog refuses (%s)", request.method, request.url.path, type(error).__name__)
    return problem(500, "The catalog refuses; see the log of the server.")


def _store(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s: %s", request.method, request.url.path, redact_text(first_line(error)))
    return problem(503, "The store does not answer now; try again.", {"Retry-After": str(math.ceil(_SOON))})


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # without `input`, which may be a URL with a password
    errors = [{"where": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['where']}: {e['message']}" for e in errors[:3])
    return problem(422, detail or "The request is not valid.", errors=errors)


def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), error.headers)
