"""Users of the review page, their passwords and sessions."""

import datetime
import re
import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from podcast_assets.catalog.tables import LEASES, LOGIN_FAILURES, SESSIONS, USERS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.audit import audit
from podcast_assets.review.errors import LoginRefused
from podcast_assets.review.passwords import hash_password, is_outdated, verify_password
from podcast_assets.review.roles import ROLES as ROLES
from podcast_assets.review.roles import Role
from podcast_assets.review.roles import User as User
from podcast_assets.review.secrets import derive, hash_secret, new_secret

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

WINDOW = datetime.timedelta(minutes=15)
"""How long a failed login counts."""
FAILURES_PER_NAME = 10
FAILURES_PER_ADDRESS = 30
"""Failed logins in `WINDOW` after which no more are tried. Several people may share an address."""

_SEEN = datetime.timedelta(minutes=1)
"""How exact `sessions.seen_at` is, so that not every request writes."""


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
        return derive(self.secret.encode(), "csrf").hex()


def add_user(engine: Engine, name: str, password: str | None, role: Role) -> User:
    """Add a user. Names are kept in lower case. Without a password the user comes through a trusted proxy or a login link only.

    Raises:
        BadInput: the name is taken or not allowed, or the password is too short.
        EngineUnavailable: the extra `review` is not installed.
    """
    name = _normalize_name(name)
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be a user's name: letters a to z, digits, and . _ @ - are allowed, 64 at most")
    if role not in ROLES:
        raise BadInput(f"{role!r} is not a role: {', '.join(ROLES)}")
    values = {"name": name, "role": role, "password_hash": None if password is None else hash_password(password)}
    with engine.begin() as connection:
        statement = upsert(USERS).values(values).on_conflict_do_nothing().returning(USERS.c.user_id)
        user_id = connection.scalar(statement)
        if user_id is None:
            raise BadInput(f"there is a user {name} already")
        user = User(user_id, name, role)
        audit(connection, "user added", name=name, detail={"role": role})
    return user


def set_password(engine: Engine, name: str, password: str) -> None:
    """Replace a user's password, and end the user's sessions.

    Raises:
        BadInput: there is no such user, or the password is too short.
        EngineUnavailable: the extra `review` is not installed.
    """
    hashed = hash_password(password)
    with engine.begin() as connection:
        user_id = _update_user(connection, name, password_hash=hashed)
        connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id))
        connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.name == _normalize_name(name)))
        audit(connection, "password changed", name=_normalize_name(name))


def set_role(engine: Engine, name: str, role: Role) -> None:
    """Give a user another role.

    Raises:
        BadInput: there is no such user or role.
    """
    if role not in ROLES:
        raise BadInput(f"{role!r} is not a role: {', '.join(ROLES)}")
    with engine.begin() as connection:
        _update_user(connection, name, role=role)
        audit(connection, "role changed", name=_normalize_name(name), detail={"role": role})


def disable_user(engine: Engine, name: str, disabled: bool = True) -> None:
    """Disable a user, end the sessions and give the leases back; or enable the user again.

    Raises:
        BadInput: there is no such user.
    """
    with engine.begin() as connection:
        user_id = _update_user(connection, name, disabled_at=func.now() if disabled else None)
        if disabled:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.user_id == user_id))
            connection.execute(delete(LEASES).where(LEASES.c.user_id == user_id))
        audit(connection, "user disabled" if disabled else "user enabled", name=_normalize_name(name))


def list_users(engine: Engine) -> list[User]:
    """List all users by name."""
    with engine.connect() as connection:
        return [_make_user(row) for row in connection.execute(select(USERS).order_by(USERS.c.name)).mappings()]


def authenticate(engine: Engine, name: str, password: str, address: str) -> User:
    """Return the user whose password it is. Failures are counted by name and by address, and both limit the attempts.

    Args:
        engine: engine of the catalog.
        name: what was typed as the name.
        password: what was typed as the password.
        address: address that the request came from.

    Raises:
        LoginRefused: the name or the password is wrong, the user is disabled, or there were too many failures.
        EngineUnavailable: the extra `review` is not installed.
    """
    name, address = _normalize_name(name)[:64], address[:64]
    if not _NAME.fullmatch(name):
        name = "?"  # what people type into the wrong field may be a password
    _refuse_too_many(engine, name, address)
    with engine.connect() as connection:
        row = connection.execute(select(USERS).where(USERS.c.name == name)).mappings().first()
    enabled = row is not None and row["disabled_at"] is None
    if not verify_password(row["password_hash"] if row is not None and enabled else None, password) or row is None:
        with engine.begin() as connection:
            connection.execute(insert(LOGIN_FAILURES).values(name=name, address=address))
            connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.at < func.now() - WINDOW))
            audit(connection, "login refused", name=name, address=address)
        raise LoginRefused("The name or the password is wrong.")
    user = _make_user(row)
    with engine.begin() as connection:
        ours = (LOGIN_FAILURES.c.name == name) & (LOGIN_FAILURES.c.address == address)
        connection.execute(delete(LOGIN_FAILURES).where(ours))
        if is_outdated(row["password_hash"]):
            new = hash_password(password)
            connection.execute(update(USERS).where(USERS.c.user_id == user.user_id).values(password_hash=new))
    return user


def user_by_name(engine: Engine, name: str) -> User | None:
    """Return an enabled user by name, such as the one that a trusted proxy names; None if there is none."""
    with engine.connect() as connection:
        found = select(USERS).where(USERS.c.name == _normalize_name(name), USERS.c.disabled_at.is_(None))
        row = connection.execute(found).mappings().first()
    return _make_user(row) if row is not None else None


def open_session(engine: Engine, user: User, address: str, hours: float = 12) -> Session:
    """Open a session, and write it to the audit log."""
    with engine.begin() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at < func.now()))
        return _open(connection, user, address, hours)


def session_user(engine: Engine, secret: str) -> Session | None:
    """Return the session that a cookie is of; None if it ended, expired or never was, or the user is disabled."""
    key = hash_secret(secret)
    ours = (SESSIONS.c.token_hash == key) & (SESSIONS.c.kind == "session") & (SESSIONS.c.expires_at > func.now())
    query = select(SESSIONS.c.expires_at, (SESSIONS.c.seen_at < func.now() - _SEEN).label("stale"), *USERS.columns)
    with engine.connect() as connection:
        row = connection.execute(query.join(USERS).where(ours, USERS.c.disabled_at.is_(None))).mappings().first()
        if row is not None and row["stale"]:
            connection.execute(update(SESSIONS).where(SESSIONS.c.token_hash == key).values(seen_at=func.now()))
            connection.commit()
    return Session(_make_user(row), secret, _session_id(key), row["expires_at"]) if row is not None else None


def close_session(engine: Engine, secret: str) -> None:
    """End a session."""
    with engine.begin() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == hash_secret(secret)))


def issue_login_link(engine: Engine, user: User, minutes: float = 10) -> str:
    """Make a secret that opens one session once, for a link on this machine's terminal."""
    secret = new_secret()
    with engine.begin() as connection:
        connection.execute(insert(SESSIONS).values(_session_row(user, secret, "link", minutes / 60)))
        audit(connection, "login link made", user=user)
    return secret


def use_login_link(engine: Engine, secret: str, address: str, hours: float = 12) -> Session:
    """Open a session by the secret of a login link, which is used up.

    Raises:
        LoginRefused: it was used, is too old or never was, or its user is disabled.
    """
    ours = (SESSIONS.c.token_hash == hash_secret(secret)) & (SESSIONS.c.kind == "link")
    with engine.begin() as connection:
        used = connection.execute(
            delete(SESSIONS).where(ours).returning(SESSIONS.c.user_id, SESSIONS.c.expires_at > func.now())
        ).first()
        if used is not None and used[1]:
            enabled = select(USERS).where(USERS.c.user_id == used[0], USERS.c.disabled_at.is_(None))
            if (row := connection.execute(enabled).mappings().first()) is not None:
                return _open(connection, _make_user(row), address, hours)
        audit(connection, "login link refused", address=address)
    raise LoginRefused("This link was used already, or is too old.")


def _open(connection: Connection, user: User, address: str, hours: float) -> Session:
    secret = new_secret()
    row = _session_row(user, secret, "session", hours)
    expires_at = connection.scalar(insert(SESSIONS).values(row).returning(SESSIONS.c.expires_at))
    assert expires_at is not None
    session = Session(user, secret, _session_id(row["token_hash"]), expires_at)
    audit(connection, "login", user=user, address=address, detail={"session": session.session_id})
    return session


def _session_row(user: User, secret: str, kind: str, hours: float) -> dict[str, object]:
    expires_at = func.now() + datetime.timedelta(hours=hours)
    return {"token_hash": hash_secret(secret), "user_id": user.user_id, "kind": kind, "expires_at": expires_at}


def _session_id(token_hash: object) -> str:
    return hash_secret(f"session {token_hash}")[:16]


def _refuse_too_many(engine: Engine, name: str, address: str) -> None:
    """Raise LoginRefused where there were too many failures of late."""
    failed = LOGIN_FAILURES.c
    with engine.connect() as connection:
        for column, value, limit in (
            (failed.name, name, FAILURES_PER_NAME),
            (failed.address, address, FAILURES_PER_ADDRESS),
        ):
            recent = select(failed.at).where(column == value, failed.at > func.now() - WINDOW)
            # as long as the oldest of the last `limit` failures counts, there were too many
            oldest = recent.order_by(failed.at.desc()).offset(limit - 1).limit(1).scalar_subquery()
            wait = connection.scalar(select(func.extract("epoch", oldest + WINDOW - func.now())))
            if wait is not None:
                minutes = max(1, round(float(wait) / 60))
                raise LoginRefused(f"Too many attempts: try again in {minutes} min.", retry_after=float(wait))


def _update_user(connection: Connection, name: str, **values: object) -> uuid.UUID:
    statement = update(USERS).where(USERS.c.name == _normalize_name(name)).values(values).returning(USERS.c.user_id)
    user_id = connection.scalar(statement)
    if user_id is None:
        raise BadInput(f"there is no user {name}: `podcast-assets review user list` lists them")
    return user_id


def _make_user(row: RowMapping) -> User:
    return User(row["user_id"], row["name"], row["role"], row["disabled_at"] is not None)


def _normalize_name(name: str) -> str:
    return name.strip().lower()
