"""Login and logout."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from podcast_assets.review.accounts import Session, authenticate, close_session, open_session, use_login_link
from podcast_assets.review.app.rendering import render
from podcast_assets.review.app.sessions import (
    Found,
    Submitted,
    check_origin,
    client_address,
    delete_session_cookie,
    find_session,
    set_session,
)
from podcast_assets.review.errors import LoginRefused

router = APIRouter()


@router.get("/login")
def show_login(
    request: Request,
    session: Annotated[Session | None, Depends(find_session)],
    next: str = "/",  # noqa: A002 - in the URL
) -> Response:
    """Show the form, unless somebody is logged in."""
    if session is not None:
        return RedirectResponse(_own_path(next), 303)
    return render(request, "login.html", {"next": _own_path(next), "message": None, "name": ""})


@router.post("/login")
def log_in(
    request: Request,
    found: Found,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Log in by name and password. A new session always gets a new cookie."""
    check_origin(request)
    address = client_address(request)
    try:
        user = authenticate(found.engine, name, password, address)
    except LoginRefused as error:
        headers = {} if error.retry_after is None else {"retry-after": str(int(error.retry_after) + 1)}
        values = {"next": _own_path(next), "message": str(error), "name": name}
        return render(request, "login.html", values, status=429 if headers else 401, headers=headers)
    session = open_session(found.engine, user, address, found.settings.review_session_hours)
    response = RedirectResponse(_own_path(next), 303)
    set_session(response, request, session)
    return response


@router.get("/login/link")
def use_link(request: Request, found: Found, secret: str) -> Response:
    """Log in by a link that `podcast-assets dev` printed."""
    session = use_login_link(found.engine, secret, client_address(request))
    response = RedirectResponse("/", 303)
    set_session(response, request, session)
    return response


@router.post("/logout")
def log_out(found: Found, session: Submitted) -> Response:
    """End the session."""
    close_session(found.engine, session.secret)
    response = RedirectResponse("/login", 303)
    delete_session_cookie(response)
    return response


def _own_path(path: str) -> str:
    """Return a path of this application; `/` for anything that leads elsewhere."""
    leads_away = (
        not path.startswith("/") or path.startswith("//") or any(c == "\\" or not c.isprintable() for c in path)
    )
    return "/" if leads_away else path
