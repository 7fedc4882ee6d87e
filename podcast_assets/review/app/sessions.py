"""Who is at the page: cookies, CSRF tokens, and dependencies of routes that need a login."""

import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from podcast_assets.review.accounts import Session, open_session, session_user, user_by_name
from podcast_assets.review.app.services import Services, services
from podcast_assets.review.errors import NotAllowed

COOKIE = "podcast_review"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"


class LoginNeeded(Exception):
    """Nobody is logged in."""


class ForgedRequest(Exception):
    """A request that changes something did not come from a page of this application."""


def client_address(request: Request) -> str:
    """Address that a request came from; a trusted proxy says it."""
    return request.client.host if request.client else "unknown"


def set_session(response: Response, request: Request, session: Session) -> None:
    """Send a session's cookie, which scripts cannot read and other sites do not send along."""
    response.set_cookie(
        COOKIE,
        session.secret,
        expires=session.expires_at,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def delete_session_cookie(response: Response) -> None:
    """Remove the session's cookie."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")


def find_session(request: Request, found: Annotated[Services, Depends(services)]) -> Session | None:
    """Return the session of a request; None if nobody is logged in.

    Where a trusted proxy names the user, that user has a session at once, and a session of somebody else does not count.
    """
    secret = request.cookies.get(COOKIE)
    session = session_user(found.engine, secret) if secret else None
    header = found.settings.review_user_header
    if header is None or not request.scope.get("trusted_proxy"):
        return session
    name = request.headers.get(header, "").strip().lower()
    if session is not None and session.user.name == name:
        return session
    user = user_by_name(found.engine, name) if name else None
    if user is None:
        return None
    session = open_session(found.engine, user, client_address(request), found.settings.review_session_hours)
    carrier = Response()
    set_session(carrier, request, session)
    request.state.set_cookie = carrier.headers["set-cookie"]
    return session


def require_session(session: Annotated[Session | None, Depends(find_session)]) -> Session:
    """Return the session of a request.

    Raises:
        LoginNeeded: nobody is logged in.
    """
    if session is None:
        raise LoginNeeded
    return session


def check_origin(request: Request) -> None:
    """Refuse a request that a page of another site sent. Browsers say where a form or script is from.

    Raises:
        ForgedRequest: it came from another site.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForgedRequest
    origin = request.headers.get("origin")
    # "null" is what browsers send where a page hides its address
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForgedRequest


async def require_csrf(request: Request, session: Annotated[Session, Depends(require_session)]) -> Session:
    """Check that a form or script of this session's pages sent a request, and return the session.

    Raises:
        ForgedRequest: it did not.
    """
    check_origin(request)
    given = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD)
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
        raise ForgedRequest
    return session


LoggedIn = Annotated[Session, Depends(require_session)]
"""A route's parameter: the session of whoever asks. Others are sent to the login."""
Submitted = Annotated[Session, Depends(require_csrf)]
"""The same of a form."""
Found = Annotated[Services, Depends(services)]


def require_role(session: Session, role: str) -> None:
    """Check a user's role.

    Raises:
        NotAllowed: the user may not do what the role may.
    """
    if not session.user.may(role):  # type: ignore[arg-type] - one of ROLES
        raise NotAllowed(f"this needs the role {role}, and {session.user.name} is a {session.user.role}")
