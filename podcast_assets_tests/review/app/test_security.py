"""What must not be possible on the review page: what was tried, and what came of it."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, func, select, update

from podcast_assets.catalog.tables import AUDIT, DECISIONS, EPISODES, LEASES, SEGMENTS
from podcast_assets.review.accounts import add_user, disable_user, issue_login_link
from podcast_assets.review.app.application import create_app
from podcast_assets.review.app.sessions import COOKIE
from podcast_assets_tests.review.app.conftest import SITE, Site, form_fields, query_of
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import segment_ref, window_ref

PASSWORD = "a long enough passphrase"
EVIL = '"><script>alert(document.cookie)</script><img src=x onerror=alert(1)>'
ITEM = {"kind": "segment", "batch": "first", "episode": "first-one", "item": segment_ref(0).item_id}
OPEN = {"/login", "/login/link", "/healthz", "/static"}
"""Paths that need no login."""


def count(engine: Engine, table: object = DECISIONS) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0  # type: ignore[arg-type]


def test_nothing_is_reached_without_a_login(site: Site) -> None:
    """All routes are asked, also those that are added later."""
    visitor = site.visitor()
    asked = 0
    for route in [
        r for part in site.app.routes for r in getattr(getattr(part, "original_router", None), "routes", [part])
    ]:
        path = getattr(route, "path", "")
        if path in OPEN or path.startswith("/api"):
            continue
        for method in getattr(route, "methods", None) or ():
            response = visitor.request(method, path, params={"queue": "random", "segment": "x"} | ITEM)
            asked += 1
            assert response.status_code in (303, 401), (method, path)
            assert response.status_code == 401 or response.headers["location"].startswith("/login"), path
            assert "what was said" not in response.text
    assert asked >= 12
    assert count(site.engine, LEASES) == 0


def test_headers_of_every_answer(site: Site) -> None:
    visitor, ada = site.visitor(), site.person("ada")
    answers = [
        visitor.get("/login"),
        visitor.get("/"),
        visitor.get("/nowhere"),
        visitor.get("/static/review.css"),
        ada.client.get("/"),
        ada.client.post("/logout"),
    ]
    for answer in answers:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["frame-ancestors"] == "'none'", "nobody else's page may show it"
        assert policy["script-src"] == policy["style-src"] == "'self'", "nothing inline, and nothing from elsewhere"
        assert policy["default-src"] == policy["base-uri"] == "'none'"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
    assert all(a.headers["cache-control"] == "no-store" for a in answers if "static" not in str(a.url))


def test_pages_have_nothing_that_the_policy_would_stop(site: Site) -> None:
    ada = site.person("ada", "admin")
    pages = [
        ada.get(address)
        for address in ("/", "/dashboard", "/search?words=said", "/next?queue=random", "/next?queue=flagged")
    ]
    for page in (*pages, site.visitor().get("/login").text):
        assert " style=" not in page
        assert "<style" not in page
        assert "javascript:" not in page
        assert " on" not in {part[:3] for part in page.replace("\n", " ").split("<")}, "no handlers"
        assert "http://" not in page
        assert "https://" not in page


def test_cookies_are_not_for_scripts_or_other_sites(site: Site) -> None:
    add_user(site.engine, "ada", PASSWORD, "reviewer")
    answer = site.visitor().post("/login", data={"name": "Ada", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie, "this site is on http"
    secure = TestClient(site.app, "https://review.test", follow_redirects=False)
    answer = secure.post("/login", data={"name": "ada", "password": PASSWORD})
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/\\evil.example", "/\tevil", "javascript:alert(1)"]
)
def test_a_login_leads_to_no_other_site(site: Site, address: str) -> None:
    add_user(site.engine, "ada", PASSWORD, "reviewer")
    visitor = site.visitor()
    answer = visitor.post("/login", data={"name": "ada", "password": PASSWORD, "next": address})
    assert answer.headers["location"] == "/"
    assert visitor.get("/login", params={"next": address}).headers["location"] == "/"
    assert site.visitor().get("/login", params={"next": "/dashboard"}).status_code == 200


def test_floods_of_logins_are_refused(site: Site) -> None:
    add_user(site.engine, "ada", PASSWORD, "reviewer")
    visitor = site.visitor()
    answers = [visitor.post("/login", data={"name": "ada", "password": f"guess {n}"}) for n in range(12)]
    assert answers[0].status_code == 401
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert visitor.post("/login", data={"name": "ada", "password": PASSWORD}).status_code == 429, (
        "not even the right one"
    )
    messages = {a.text.split('role="alert">')[1].split("<")[0] for a in answers if a.status_code == 401}
    unknown = TestClient(site.app, SITE, client=("192.0.2.7", 1)).post("/login", data={"name": "bob", "password": "x"})
    assert unknown.text.split('role="alert">')[1].split("<")[0] in messages, (
        "it does not say whether there is such a name"
    )


def test_ten_thousand_logins_from_an_address_are_cheap_to_refuse(site: Site) -> None:
    """Names differ, so that only the address is the same. (A hundred here: the rest is refused in the same way, without a hash.)"""
    visitor = site.visitor()
    statuses = [visitor.post("/login", data={"name": f"n{n}", "password": "x"}).status_code for n in range(100)]
    assert statuses.count(401) <= 31
    assert set(statuses[40:]) == {429}


def test_forms_of_other_sites_are_refused(site: Site) -> None:
    ada = site.person("ada")
    fields = form_fields(ada.get("/next?queue=random"), "skip")
    wanted = {name: value for name, value in fields.items() if name != "csrf"}
    bob = site.person("bob")
    for given in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": bob.csrf}):
        assert ada.client.post("/decide", data=wanted | given).status_code == 403
    for header in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert ada.client.post("/decide", data=fields, headers=header).status_code == 403
        assert ada.client.post("/undo", data=fields, headers=header).status_code == 403
        assert site.visitor().post("/login", data={"name": "ada", "password": "x"}, headers=header).status_code == 403
    assert ada.client.get("/decide", params=fields).status_code == 405, "links decide nothing"
    assert ada.client.get("/logout").status_code == 405
    assert count(site.engine) == 0
    assert ada.client.post("/decide", data=fields, headers={"origin": SITE}).status_code == 303
    assert count(site.engine) == 1


def test_a_reviewer_requests_no_takedown_and_decides_no_dispute(site: Site) -> None:
    ada, carol = site.person("ada"), site.person("carol", "adjudicator")
    page = ada.get("/next?queue=random")
    assert "Take this down" not in page
    fields = form_fields(page, "skip") | {"action": "takedown", "scope": "episode", "reason": "because"}
    assert ada.client.post("/decide", data=fields).status_code == 403
    assert count(site.engine) == 0
    page = carol.get("/next?queue=random")
    carol.submit("/decide", form_fields(page, "takedown") | {"scope": "episode", "reason": "asked by the publisher"})
    assert count(site.engine) == 1


def test_items_of_others_are_out_of_reach(site: Site) -> None:
    """Ids are no secret: whoever knows one gets neither the item nor its form while somebody else has it."""
    ada, bob = site.person("ada"), site.person("bob")
    address = ada.client.get("/next?queue=random").headers["location"]
    fields = form_fields(ada.get(address), "text") | {"text": "mine"}
    assert bob.client.get(address).status_code == 409
    assert bob.client.post("/decide", data=fields | {"csrf": bob.csrf}).status_code == 409
    assert bob.client.post("/renew", data=fields | {"csrf": bob.csrf}).status_code == 409
    bob.client.post("/release", data=fields | {"csrf": bob.csrf})
    assert bob.client.get(address).status_code == 409, "nobody gives away what is not his"
    assert count(site.engine) == 0
    ada.submit("/decide", fields)
    with site.engine.connect() as connection:
        assert connection.scalar(select(DECISIONS.c.decided_by)) == "ada"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"kind": "user"}, 422),
        ({"item": "../../etc/passwd"}, 404),
        ({"batch": "' OR 1=1 --"}, 404),
        ({"episode": "first-three"}, 404),
        ({"item": "first-one\0"}, 422),
        ({"token": "no uuid"}, 422),
        ({"action": "admin"}, 422),
        ({"action": "undo"}, 422),
        ({"action": "retry"}, 403),
        ({"text": "x" * 30_000}, 422),
        ({"queue": "users"}, 422),
    ],
)
def test_forms_that_no_page_sends_change_nothing(site: Site, change: dict[str, str], status: int) -> None:
    ada = site.person("ada")
    fields = form_fields(ada.get("/next?queue=random"), "text") | {"text": "a text"}
    assert ada.client.post("/decide", data=fields | change).status_code == status
    assert count(site.engine) == 0


def test_what_people_said_and_wrote_is_never_html(site: Site) -> None:
    with site.engine.begin() as connection:
        connection.execute(update(EPISODES).values(title=EVIL, podcast_title=EVIL))
        connection.execute(update(SEGMENTS).values(text=EVIL, second_text=EVIL + " and"))
    ada = site.person("ada", "adjudicator")
    address = ada.client.get("/next?queue=random").headers["location"]
    fields = form_fields(ada.get(address), "rename_speaker")
    ada.submit("/decide", fields | {"scope": "episode", "speaker_name": EVIL, "note": EVIL})
    pages = [
        ada.get(address),
        ada.get("/next?queue=flagged"),
        ada.get("/search?words=script"),
        ada.get("/dashboard"),
        ada.get("/"),
        site.visitor().get("/login", params={"next": f"/{EVIL}"}).text,
        site.visitor().post("/login", data={"name": EVIL, "password": "x"}).text,
        ada.client.get("/item", params=ITEM | {"item": EVIL}).text,
        ada.client.get("/next", params={"queue": EVIL}).text,
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<b>" not in page
    assert pages[0].count("onerror") >= 3, "it is shown, as text"


def test_audio_keys_lead_nowhere_else(site: Site) -> None:
    site.store.write("secret.flac", b"secret")
    ada = site.person("ada")
    good = {"batch": "first", "episode": "first-one"}
    assert ada.client.get("/audio", params=good).status_code == 200
    for change in (
        {"episode": "../../secret.flac"},
        {"episode": "..%2f..%2fsecret.flac"},
        {"episode": "/etc/passwd"},
        {"batch": "../first"},
        {"batch": "first\0"},
        {"episode": "first-one/../first-two"},
        {"segment": "../../secret.flac", "episode": "another"},
    ):
        for path in ("/audio", "/audio/peaks"):
            answer = ada.client.get(path, params=good | {"start": "0", "end": "1"} | change)
            assert answer.status_code == (422 if change.get("batch") == "first\0" else 404), change
            assert b"secret" not in answer.content
    for path in ("/static/../application.py", "/static/..%2fapplication.py", "/static/%2e%2e/application.py"):
        assert ada.client.get(path).status_code == 404


def test_ranges_out_of_bounds(site: Site, audio: bytes) -> None:
    ada = site.person("ada")

    def get(header: str) -> tuple[int, bytes, str]:
        answer = ada.client.get("/audio", params={"batch": "first", "episode": "first-one"}, headers={"range": header})
        return answer.status_code, answer.content, answer.headers.get("content-range", "")

    size = len(audio)
    assert get("bytes=100-199") == (206, audio[100:200], f"bytes 100-199/{size}")
    assert get("bytes=-5") == (206, audio[-5:], f"bytes {size - 5}-{size - 1}/{size}")
    assert get(f"bytes=100-{10**15}") == (206, audio[100:], f"bytes 100-{size - 1}/{size}")
    assert get(f"bytes={size}-") == (416, b"", f"bytes */{size}")
    assert get("bytes=0-1,2-3")[:2] == (200, audio)
    for start, end in (("nan", "1"), ("-1", "1"), ("0", "inf"), ("x", "1")):
        params = {"batch": "first", "episode": "first-one", "start": start, "end": end}
        assert ada.client.get("/audio/peaks", params=params).status_code == 422
    params = {"batch": "first", "episode": "first-one", "start": "55", "end": "1e9"}
    peaks = ada.client.get("/audio/peaks", params=params).json()
    assert peaks["end"] <= 55 + 600
    assert len(peaks["low"]) == len(peaks["high"]) <= 800


def test_a_stolen_session_ends_with_it(site: Site) -> None:
    """By logging out, by a disabled account; and the cookie of one session is of no use with the token of another."""
    ada = site.person("ada")
    thief = site.visitor()
    thief.cookies.set(COOKIE, ada.client.cookies[COOKIE])
    assert thief.get("/").status_code == 200, "who has the cookie has the session"
    ada.client.post("/logout", data={"csrf": ada.csrf})
    assert thief.get("/").headers["location"] == "/login"
    bob = site.person("bob")
    disable_user(site.engine, "bob")
    assert bob.client.get("/").headers["location"] == "/login"
    forged = site.visitor()
    for value in ("", "x", "0" * 64, "' OR ''='"):
        forged.cookies.set(COOKIE, value)
        assert forged.get("/").status_code == 303


def test_a_login_link_opens_one_session(site: Site) -> None:
    user = make_user(site.engine, "ada", "admin")
    secret = issue_login_link(site.engine, user)
    first = site.visitor()
    assert first.get("/login/link", params={"secret": secret}).headers["location"] == "/"
    assert first.get("/").status_code == 200
    assert site.visitor().get("/login/link", params={"secret": secret}).status_code == 401
    assert site.visitor().get("/login/link", params={"secret": first.cookies[COOKIE]}).status_code == 401


def test_only_a_trusted_proxy_names_users_and_addresses(site: Site) -> None:
    make_user(site.engine, "ada")
    settings = site.settings.model_copy(
        update={"review_user_header": "X-Forwarded-User", "review_proxies": "10.0.0.0/8"}
    )
    app = create_app(settings, site.engine, site.store)
    header = {"x-forwarded-user": "Ada", "x-forwarded-for": "192.0.2.5", "x-forwarded-proto": "https"}

    def ask(client: tuple[str, int], headers: dict[str, str], which: object = app) -> TestClient:
        visitor = TestClient(which, SITE, client=client, headers=headers, follow_redirects=False)  # type: ignore[arg-type]
        visitor.answer = visitor.get("/")  # type: ignore[attr-defined]
        return visitor

    proxied = ask(("10.1.2.3", 1), header)
    assert proxied.answer.status_code == 200  # type: ignore[attr-defined]
    assert "secure" in proxied.answer.headers["set-cookie"].lower()  # type: ignore[attr-defined]
    with site.engine.connect() as connection:
        assert connection.scalars(select(AUDIT.c.address)).all() == ["192.0.2.5"]
    for visitor in (
        ask(("192.0.2.9", 1), header),
        ask(("10.1.2.3", 1), header | {"x-forwarded-user": "nobody"}),
        ask(("10.1.2.3", 1), header | {"x-forwarded-user": ""}),
        ask(("10.1.2.3", 1), header, site.app),
    ):
        assert visitor.answer.status_code == 303  # type: ignore[attr-defined]


def test_large_requests_are_refused(site: Site) -> None:
    ada = site.person("ada")
    assert ada.client.post("/decide", data={"note": "x" * 1_100_000}).status_code == 413

    def stream() -> object:
        for _ in range(20):
            yield b"x" * 100_000

    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert ada.client.post("/decide", content=stream(), headers=headers).status_code == 413  # type: ignore[arg-type]


def test_errors_say_nothing_of_what_is_inside(site: Site) -> None:
    ada = TestClient(site.app, SITE, follow_redirects=False, raise_server_exceptions=False)
    ada.cookies.set(COOKIE, site.person("ada").client.cookies[COOKIE])
    with site.engine.begin() as connection:
        connection.execute(update(EPISODES).values(working="audio/working/00/gone.flac", opus=None))
    answer = ada.get("/audio", params={"batch": "first", "episode": "first-one"})
    assert answer.status_code in (404, 500)
    assert str(site.store.root) not in answer.text
    assert "Traceback" not in answer.text


def test_the_page_of_a_blind_review_has_nothing_of_the_model(site: Site) -> None:
    ada = site.person("ada")
    shown = ada.get("/next?queue=flagged")
    assert "90% flagged" in shown
    address = ada.client.get("/next?queue=flagged").headers["location"]
    back = address.split("?", 1)[1]
    ada.submit("/blind", {"blind": "true", "back": back})
    hidden = ada.get(address)
    assert "90%" not in hidden
    assert form_fields(hidden, "label")["blind"] == "1"
    assert query_of(address)["item"] == window_ref(0).item_id
