"""Callbacks: sent once all is finished, signed with the token's secret, to public addresses only, until they are taken."""

from collections.abc import Mapping

import pytest
import standardwebhooks
from fastapi.testclient import TestClient

from podcast_assets.config.settings import Settings
from podcast_assets.review.api.callbacks import WAITS, CallbackSender
from podcast_assets.review.api.gathering import Gatherer
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.tokens import Scope
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.servers.receiver import Receiver, receiver

Tokens = Mapping[Scope, dict[str, str]]
URL = "https://user:hunter2secret@example.org/one.mp3?token=hunter2secret"


class Clock:
    def __init__(self) -> None:
        import time

        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def allowing(settings: Settings, services: ApiServices) -> Settings:
    """Settings that allow callbacks to this machine."""
    services.settings = settings.model_copy(update={"api_callback_hosts": "127.0.0.1"})
    return services.settings


def submit(client: TestClient, tokens: Tokens, store: Store, callback: str) -> tuple[str, str]:
    """Submit an episode; return the submission and its batch."""
    body = {"url": URL, "callback_url": callback}
    answer = client.post("/api/episodes", json=body, headers=tokens["submit"])
    assert answer.status_code == 202, answer.text
    (batch,) = Gatherer(store, 0).gather(4e9)
    return answer.json()["id"], batch


def callback_of(client: TestClient, tokens: Tokens, identity: str) -> str:
    return client.get(f"/api/episodes/{identity}", headers=tokens["submit"]).json()["callback"]


def verify(found: Receiver, secret: str, index: int = -1) -> dict[str, object]:
    headers = {name.lower(): value for name, value in found.received[index].headers.items()}
    return standardwebhooks.Webhook(secret).verify(found.received[index].body, headers)


def test_a_callback_is_sent_once_all_is_finished_and_its_receiver_can_check_it(
    client: TestClient, tokens: Tokens, store: Store, allowing: Settings
) -> None:
    clock = Clock()
    with receiver() as found:
        identity, batch = submit(client, tokens, store, found.url)
        sender = CallbackSender(allowing, store, clock)
        commit_filled_batch(store, batch, without=("hf_shards",))
        assert sender.send_due() == 0
        assert found.received == []
        assert callback_of(client, tokens, identity) == "pending"
        commit_filled_batch(store, batch)
        assert sender.send_due() == 1
        assert sender.send_due() == 0
        secret = client.get("/api/callback-secret", headers=tokens["submit"]).json()["secret"]
        content = verify(found, secret)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verify(found, client.get("/api/callback-secret", headers=tokens["admin"]).json()["secret"])
    assert len(found.received) == 1
    assert content["type"] == "submission.finished"
    assert content["data"]["id"] == identity  # pyright: ignore[reportIndexIssue]
    assert content["data"]["state"] == "done"  # pyright: ignore[reportIndexIssue]
    assert b"hunter2" not in found.received[0].body
    assert callback_of(client, tokens, identity) == "sent"


def test_a_refused_callback_is_sent_again_later_with_the_same_id_until_it_is_given_up(
    client: TestClient, tokens: Tokens, store: Store, allowing: Settings
) -> None:
    clock = Clock()
    with receiver(*[500] * len(WAITS)) as found:
        identity, batch = submit(client, tokens, store, found.url)
        commit_filled_batch(store, batch)
        sender = CallbackSender(allowing, store, clock)
        assert sender.send_due() == 0
        assert sender.send_due() == 0
        assert len(found.received) == 1, "not again before its time"
        for wait in WAITS[1:]:
            clock.now += wait
            sender.send_due()
    assert len(found.received) == len(WAITS)
    assert len({request.headers["webhook-id"] for request in found.received}) == 1
    assert "given up" in callback_of(client, tokens, identity)
    assert "500" in callback_of(client, tokens, identity)


@pytest.mark.parametrize("redirects", [False, True])
def test_callbacks_do_not_reach_private_addresses(
    client: TestClient, tokens: Tokens, store: Store, settings: Settings, services: ApiServices, redirects: bool
) -> None:
    """Neither by a name that leads to one, nor by a redirect."""
    with receiver() as inner, receiver(302, location=inner.url) as outer:
        if redirects:
            services.settings = settings.model_copy(update={"api_callback_hosts": "127.0.0.1"})
            url = outer.url
        else:
            url = inner.url.replace("127.0.0.1", "localhost.localdomain.test")
            services.settings = settings
        identity, batch = submit(client, tokens, store, url)
        commit_filled_batch(store, batch)
        sender = CallbackSender(services.settings, store, Clock())
        if not redirects:
            sender._client = sender._client.__class__(  # a name that leads to this machine
                sender._client.hosts, "test", resolver=lambda host, port: ["127.0.0.1"]
            )
        assert sender.send_due() == 0
        assert inner.received == []
    assert callback_of(client, tokens, identity) == "pending"
