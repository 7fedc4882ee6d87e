"""The application on a filled catalog, with real audio in a store, and people who are logged in."""

import contextlib
import dataclasses
import html
import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from podcast_assets.catalog.tables import EPISODES
from podcast_assets.config.settings import Settings
from podcast_assets.review.accounts import open_session
from podcast_assets.review.app.application import create_app
from podcast_assets.review.app.sessions import COOKIE
from podcast_assets.review.queues import Criteria, refresh_queues
from podcast_assets.review.roles import Role
from podcast_assets.store.store import Store, working_key
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch

RATE = 16_000
SECONDS = 60
SITE = "http://review.test"


@dataclasses.dataclass
class Site:
    """The application, and what it works on."""

    app: FastAPI
    engine: Engine
    store: Store
    settings: Settings

    def visitor(self) -> TestClient:
        """Somebody who is not logged in. Redirects are not followed."""
        return TestClient(self.app, SITE, follow_redirects=False)

    def person(self, name: str, role: Role = "reviewer") -> "Person":
        """Add a user who is logged in."""
        user = make_user(self.engine, name, role)
        session = open_session(self.engine, user, "test")
        client = self.visitor()
        client.cookies.set(COOKIE, session.secret)
        return Person(client, session.csrf_token)


@dataclasses.dataclass
class Person:
    """Somebody who is logged in, and submits the forms that the pages show."""

    client: TestClient
    csrf: str

    def get(self, address: str) -> str:
        """Text of a page, after redirects."""
        response = self.client.get(address, follow_redirects=True)
        assert response.status_code == 200, response.text
        return response.text

    def submit(self, address: str, fields: dict[str, str]) -> str:
        """Submit a form, and return the text of the page that follows."""
        response = self.client.post(address, data={"csrf": self.csrf} | fields, follow_redirects=True)
        assert response.status_code == 200, response.text
        return response.text


def form_fields(page: str, action: str = "", form: str = "decision") -> dict[str, str]:
    """Hidden fields of a form of a page: of the one with an id, or of the one for an action."""
    for found in re.findall(r"<form.*?</form>", page, re.DOTALL):
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', found))
        if (action and fields.get("action") == action) or (not action and f'id="{form}"' in found):
            return {name: html.unescape(value) for name, value in fields.items()}
    raise AssertionError(f"no such form: {action or form}")


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def make_audio() -> bytes:
    """A minute of a rising tone, as working audio."""
    t = np.arange(SECONDS * RATE) / RATE
    buffer = io.BytesIO()
    soundfile.write(buffer, (0.3 * np.sin(2 * np.pi * (200 + 5 * t) * t)).astype(np.float32), RATE, format="FLAC")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def audio() -> bytes:
    return make_audio()


@pytest.fixture
def site(catalog: Engine, review_settings: Settings, tmp_path: Path, audio: bytes) -> Site:
    """Two episodes of a batch, whose items are all in the queue `random` and need one look."""
    settings = review_settings.model_copy(update={"store": str(tmp_path / "store"), "review_second_look": 0.0})
    store = Store.at(tmp_path / "store")
    fill_batch(catalog, episodes=("one", "two"), segments=12)
    key = working_key("ab" * 32)
    store.write(key, audio)
    with catalog.begin() as connection:
        connection.execute(update(EPISODES).values(working=key, sha256="ab" * 32))
    refresh_queues(catalog, Criteria(second_look=0, random=1))
    return Site(create_app(settings, catalog, store), catalog, store, settings)


@pytest.fixture
def serve(site: Site) -> Iterator[Callable[[], str]]:
    """Serves the application on a free port, for browsers."""
    with contextlib.ExitStack() as stack:

        def start() -> str:
            return stack.enter_context(served(site.app))

        yield start


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    ready = threading.Event()
    startup = server.startup

    async def startup_and_tell(sockets: object = None) -> None:
        await startup(sockets)  # type: ignore[arg-type]
        ready.set()

    server.startup = startup_and_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(60)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
