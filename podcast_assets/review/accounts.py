"""Users of the review page, their passwords and sessions."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Engine

Role = Literal["reviewer", "adjudicator", "admin"]
ROLES: tuple[Role, ...] = ("reviewer", "adjudicator", "admin")
"""From the one that may least. An adjudicator may do what a reviewer may, and decide where two disagree and ask for a takedown; an
admin may do everything."""


@dataclass(frozen=True)
class User:
    """A user."""

    user_id: uuid.UUID
    name: str
    role: Role
    disabled: bool = False

    def may(self, role: Role) -> bool:
        """Whether the user may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Session:
    """A user's session. `secret` is the cookie's value and in no table; `session_id` may be shown, and is kept with decisions."""

    user: User
    secret: str
    session_id: str
    expires_at: datetime.datetime

    @property
    def csrf_token(self) -> str:
        """What forms of this session send along; derived from the secret, so that nobody else can make it."""
        raise NotImplementedError


def add_user(engine: Engine, name: str, password: str | None, role: Role) -> User:
    """Add a user. Names are kept in lower case. Without a password the user comes through a trusted proxy or a login link only.

    Raises:
        BadInput: the name is taken or not allowed, or the password is too short.
    """
    raise NotImplementedError


def set_password(engine: Engine, name: str, password: str) -> None:
    """Replace a user's password, and end the user's sessions.

    Raises:
        BadInput: there is no such user, or the password is too short.
    """
    raise NotImplementedError


def disable_user(engine: Engine, name: str, disabled: bool = True) -> None:
    """Disable a user, end the sessions and give the leases back; or enable the user again.

    Raises:
        BadInput: there is no such user.
    """
    raise NotImplementedError


def list_users(engine: Engine) -> list[User]:
    """List all users by name."""
    raise NotImplementedError


def authenticate(engine: Engine, name: str, password: str, address: str) -> User:
    """Return the user whose password it is. Failures are counted by name and by address, and both limit the attempts.

    Args:
        engine: engine of the catalog.
        name: what was typed as the name.
        password: what was typed as the password.
        address: address that the request came from.

    Raises:
        LoginRefused: the name or the password is wrong, the user is disabled, or there were too many failures.
    """
    raise NotImplementedError


def user_by_name(engine: Engine, name: str) -> User | None:
    """Return an enabled user by name, such as the one that a trusted proxy names; None if there is none."""
    raise NotImplementedError


def open_session(engine: Engine, user: User, address: str, hours: float = 12) -> Session:
    """Open a session, and write it to the audit log."""
    raise NotImplementedError


def session_user(engine: Engine, secret: str) -> Session | None:
    """Return the session that a cookie is of; None if it ended, expired or never was, or the user is disabled."""
    raise NotImplementedError


def close_session(engine: Engine, secret: str) -> None:
    """End a session."""
    raise NotImplementedError


def issue_login_link(engine: Engine, user: User, minutes: float = 10) -> str:
    """Make a secret that opens one session once, for a link on this machine's terminal."""
    raise NotImplementedError


def use_login_link(engine: Engine, secret: str, address: str) -> Session:
    """Open a session by the secret of a login link, which is used up.

    Raises:
        LoginRefused: it was used, is too old or never was.
    """
    raise NotImplementedError
