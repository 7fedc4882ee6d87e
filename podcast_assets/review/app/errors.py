"""Refusals as pages, or as JSON where a program asks."""

import logging
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from podcast_assets.common.redaction import redact_text
from podcast_assets.review.app.rendering import render
from podcast_assets.review.app.sessions import ForgedRequest, LoginNeeded
from podcast_assets.review.errors import BadDecision, ItemGone, LeaseLost, LoginRefused, NotAllowed, Refused

log = logging.getLogger(__name__)

_STATUS: dict[type[Refused], int] = {
    LoginRefused: 401,
    NotAllowed: 403,
    ItemGone: 404,
    LeaseLost: 409,
    BadDecision: 422,
}
API = "/api"
"""Paths below are for programs, which get JSON."""


def add_error_pages(app: FastAPI) -> None:
    """Answer refusals with their message."""
    app.add_exception_handler(LoginNeeded, _login)
    app.add_exception_handler(ForgedRequest, _forged)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _invalid_text)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)


async def _login(request: Request, _error: Exception) -> Response:
    if request.method not in ("GET", "HEAD"):
        return _answer(request, 401, "Your session has ended", "Log in again. What you entered was not saved.")
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    address = f"/login?{urlencode({'next': target})}" if target != "/" else "/login"
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={"HX-Redirect": address})
    if request.headers.get("sec-fetch-dest", "document") not in ("document", "empty"):
        return Response(status_code=401)
    return RedirectResponse(address, 303)


async def _forged(request: Request, _error: Exception) -> Response:
    return _answer(
        request, 403, "This form is out of date", "Load the page again and repeat what you did. Nothing was saved."
    )


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    headers = {}
    if isinstance(error, LoginRefused) and error.retry_after is not None:
        status, headers = 429, {"retry-after": str(int(error.retry_after) + 1)}
    titles = {403: "Not allowed", 404: "Not found", 409: "Somebody else has this item", 422: "This was not saved"}
    return _answer(request, status, titles.get(status, "Not possible"), str(error), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    names = ", ".join(sorted({str(part["loc"][-1]) for part in error.errors()}))
    return _answer(request, 422, "Not a valid request", f"Missing or not valid: {names}")


async def _invalid_text(request: Request, _error: Exception) -> Response:
    """Answer what PostgreSQL takes for no value of its type, such as a text with NUL."""
    return _answer(request, 422, "Not a valid request", "The request has characters or numbers that cannot be stored.")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, str(error.detail), "", dict(error.headers or {}))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.url.path, redact_text(f"{type(error).__name__}: {error}"))
    return _answer(request, 500, "Something failed", "It is in the log of `podcast-assets review`. Nothing was saved.")


def _answer(request: Request, status: int, title: str, message: str, headers: dict[str, str] | None = None) -> Response:
    if request.url.path.startswith(API):
        return JSONResponse({"detail": message or title}, status, headers)
    return render(request, "message.html", {"title": title, "message": message}, status=status, headers=headers)
