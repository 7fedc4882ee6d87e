"""Accounts, sessions and tokens: who gets in, and who does not."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text, update

from podcast_assets.catalog.tables import AUDIT, LOGIN_FAILURES, METADATA, SESSIONS, USERS
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.config.settings import make_settings
from podcast_assets.review import accounts
from podcast_assets.review.accounts import add_user, authenticate, open_session, session_user
from podcast_assets.review.errors import LoginRefused, NotAllowed
from podcast_assets.review.secrets import deployment_key
from podcast_assets.review.tokens import add_token, callback_secret, check_token, disable_token, list_tokens

pytest.importorskip("argon2", reason="needs the extra review")

PASSWORD = "correct horse battery"
HERE = "192.0.2.7"


def everything(engine: Engine) -> str:
    with engine.connect() as connection:
        rows = {t.name: [dict(r) for r in connection.execute(select(t)).mappings()] for t in METADATA.sorted_tables}
    return json.dumps(rows, default=str)


def events(engine: Engine) -> list[tuple[str, Any]]:
    with engine.connect() as connection:
        return [
            (what, name) for what, name in connection.execute(select(AUDIT.c.what, AUDIT.c.name).order_by(AUDIT.c.at))
        ]


def test_a_user_logs_in_and_out(catalog: Engine) -> None:
    add_user(catalog, " Ada ", PASSWORD, "adjudicator")
    user = authenticate(catalog, "ADA", PASSWORD, HERE)
    assert (user.name, user.role) == ("ada", "adjudicator")
    assert user.may("reviewer")
    assert not user.may("admin")
    session = open_session(catalog, user, HERE)
    found = session_user(catalog, session.secret)
    assert found
    assert found == session
    assert found.csrf_token != open_session(catalog, user, HERE).csrf_token
    kept = everything(catalog)
    for secret in (PASSWORD, session.secret, session.csrf_token):
        assert secret not in kept
    assert "$argon2id$v=19$m=65536" in kept
    accounts.close_session(catalog, session.secret)
    assert session_user(catalog, session.secret) is None
    assert events(catalog) == [("user added", "ada"), ("login", "ada"), ("login", "ada")]


def test_names_and_passwords_are_checked(catalog: Engine) -> None:
    add_user(catalog, "ada", None, "reviewer")
    for name, password, why in (
        ("ADA", PASSWORD, "already"),
        ("a b", PASSWORD, "cannot be"),
        ("<script>", PASSWORD, "cannot be"),
        ("bob", "short", "10 to 1024"),
        ("bob", "x" * 1025, "10 to 1024"),
    ):
        with pytest.raises(BadInput, match=why):
            add_user(catalog, name, password, "reviewer")
    with pytest.raises(BadInput, match="not a role"):
        add_user(catalog, "bob", PASSWORD, "root")  # type: ignore[arg-type]
    with pytest.raises(LoginRefused, match="is wrong"):
        authenticate(catalog, "ada", "", HERE)  # who has no password has no empty one either
    with pytest.raises(BadInput, match="no user carol"):
        accounts.disable_user(catalog, "carol")


def test_wrong_passwords_wait_by_name_and_by_address(catalog: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "FAILURES_PER_NAME", 2)
    monkeypatch.setattr(accounts, "FAILURES_PER_ADDRESS", 3)
    add_user(catalog, "ada", PASSWORD, "reviewer")
    refusals = set()
    for address in (HERE, "192.0.2.8"):
        with pytest.raises(LoginRefused) as refused:
            authenticate(catalog, "ada", "wrong", address)
        refusals.add((str(refused.value), refused.value.retry_after))
    with pytest.raises(LoginRefused, match="Too many") as refused:
        authenticate(catalog, "ada", PASSWORD, "192.0.2.9")
    assert refused.value.retry_after
    assert 800 < refused.value.retry_after <= 900
    for name in ("nobody", "my secret password"):
        with pytest.raises(LoginRefused) as refused:
            authenticate(catalog, name, "wrong", HERE)
        refusals.add((str(refused.value), refused.value.retry_after))
    assert len(refusals) == 1, "it does not say whether there is such a user"
    assert "my secret" not in everything(catalog)
    with pytest.raises(LoginRefused, match="Too many"):
        authenticate(catalog, "bob", PASSWORD, HERE)
    with catalog.begin() as connection:
        connection.execute(update(LOGIN_FAILURES).values(at=text("now() - interval '16 minutes'")))
    assert authenticate(catalog, "ada", PASSWORD, HERE).name == "ada"


def test_sessions_end(catalog: Engine) -> None:
    user = add_user(catalog, "ada", PASSWORD, "reviewer")
    session = open_session(catalog, user, HERE)
    with catalog.begin() as connection:
        connection.execute(update(SESSIONS).values(expires_at=text("now()")))
    assert session_user(catalog, session.secret) is None
    assert session_user(catalog, "\ud800 made up") is None
    first, second = (open_session(catalog, user, HERE) for _ in range(2))
    accounts.set_password(catalog, "ada", "another " + PASSWORD)
    assert session_user(catalog, first.secret) is None
    with pytest.raises(LoginRefused):
        authenticate(catalog, "ada", PASSWORD, HERE)
    second = open_session(catalog, user, HERE)
    accounts.disable_user(catalog, "ada")
    assert session_user(catalog, second.secret) is None
    assert accounts.user_by_name(catalog, "ada") is None
    with pytest.raises(LoginRefused, match="is wrong"):
        authenticate(catalog, "ada", "another " + PASSWORD, HERE)
    accounts.disable_user(catalog, "ada", disabled=False)
    assert [(u.name, u.disabled) for u in accounts.list_users(catalog)] == [("ada", False)]


def test_a_login_link_opens_one_session(catalog: Engine) -> None:
    user = add_user(catalog, "ada", None, "admin")
    link = accounts.issue_login_link(catalog, user)
    assert link not in everything(catalog)
    assert session_user(catalog, link) is None, "a link is no session"
    session = accounts.use_login_link(catalog, link, HERE)
    assert session.user == user
    for secret in (link, session.secret):
        with pytest.raises(LoginRefused, match="used already"):
            accounts.use_login_link(catalog, secret, HERE)
    assert session_user(catalog, session.secret) is not None
    late = accounts.issue_login_link(catalog, user, minutes=0)
    with pytest.raises(LoginRefused):
        accounts.use_login_link(catalog, late, HERE)


def test_tokens_open_what_their_scopes_say(catalog: Engine) -> None:
    _, secret = add_token(catalog, "manager", ["submit", "read"])
    token = check_token(catalog, secret, "read")
    assert (token.name, token.scopes) == ("manager", ("submit", "read"))
    with pytest.raises(NotAllowed, match="scope review"):
        check_token(catalog, secret, "review")
    _, all_scopes = add_token(catalog, "owner", ["admin"])
    assert check_token(catalog, all_scopes, "review").name == "owner"
    for wrong in (secret[:-1], "", secret.upper()):
        with pytest.raises(LoginRefused):
            check_token(catalog, wrong, "read")
    assert secret not in everything(catalog)
    for name, scopes in (("manager", ["read"]), ("", ["read"]), ("x", []), ("x", ["all"])):
        with pytest.raises(BadInput):
            add_token(catalog, name, scopes)  # type: ignore[arg-type]
    disable_token(catalog, "manager")
    with pytest.raises(LoginRefused):
        check_token(catalog, secret, "read")
    assert [(t.name, t.disabled_at is None, t.last_used_at is None) for t in list_tokens(catalog)] == [
        ("manager", False, False),
        ("owner", True, False),
    ]
    with pytest.raises(BadInput, match="no token nobody"):
        disable_token(catalog, "nobody")


def test_secrets_of_callbacks_come_from_the_deployments_key(catalog: Engine, tmp_path: Path) -> None:
    tokens = [add_token(catalog, name, ["submit"])[0] for name in ("one", "two")]
    settings = make_settings({"dagster_home": tmp_path / "home"})
    key = deployment_key(settings)
    assert deployment_key(settings) == key
    path = tmp_path / "home" / "review.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["review.key"]
    secrets = [callback_secret(key, token.token_id) for token in tokens]
    assert len({*secrets, callback_secret(b"other", tokens[0].token_id)}) == 3
    assert secrets[0] == callback_secret(key, tokens[0].token_id)
    given = make_settings({"dagster_home": tmp_path / "home", "review_key": "k" * 32})
    assert deployment_key(given) == b"k" * 32
    path.write_text("short\n")
    with pytest.raises(Misconfigured, match=r"review\.key is not a key"):
        deployment_key(settings)


def test_an_old_hash_is_made_anew(catalog: Engine) -> None:
    from argon2 import PasswordHasher

    add_user(catalog, "ada", None, "reviewer")
    weak = PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    with catalog.begin() as connection:
        connection.execute(update(USERS).values(password_hash=weak))
    authenticate(catalog, "ada", PASSWORD, HERE)
    with catalog.connect() as connection:
        assert "m=65536" in (connection.scalar(select(USERS.c.password_hash)) or "")
