"""Webhook deliveries: retried, signed, and free of secrets."""

import base64
import hashlib
import hmac
import socket
import time
from types import SimpleNamespace

import pytest
import standardwebhooks

from podcast_assets.common.webhook_signing import (
    ID,
    STANDARD_SIGNATURE,
    TIMESTAMP,
    standard_headers,
    standard_secret,
)
from podcast_assets.config.settings import Settings
from podcast_assets.defs import webhook
from podcast_assets.defs.webhook import (
    SIGNATURE,
    TRIES,
    DeliveryFailed,
    Webhook,
    is_authentic,
    send,
    signature,
)
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.servers.receiver import HANG, Receiver, receiver

SECRET = "0123456789abcdef0123"
KEY = bytes(range(32))
STANDARD_SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def to(found: Receiver, secret: str = SECRET) -> Webhook:
    return Webhook(found.url, secret)


def test_the_fifth_try_is_a_success(waits: list[float]) -> None:
    with receiver(500, 503, 429, 404) as found:
        assert send(to(found), {"run_id": "1"}) == 5
    assert [r.content for r in found.received] == [{"run_id": "1"}] * 5
    assert len(waits) == 4
    assert all(2 <= wait <= 16 for wait in waits)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    with receiver(status) as found:
        assert send(to(found), {}) == 1


def test_a_redirect_is_not_followed() -> None:
    with (
        receiver() as elsewhere,
        receiver(*[307] * TRIES, location=elsewhere.url) as found,
        pytest.raises(DeliveryFailed, match="status 307"),
    ):
        send(to(found), {})
    assert (len(found.received), len(elsewhere.received)) == (TRIES, 0)


def test_one_that_hangs_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", (0.3, 0.3))
    with receiver(HANG) as found:
        assert send(to(found), {}) == 2


def test_nobody_there(waits: list[float]) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with pytest.raises(DeliveryFailed) as caught:
        send(Webhook(f"http://127.0.0.1:{port}/token-in-the-path?key=1", SECRET), {})
    assert len(waits) == TRIES - 1
    words = f"{caught.value!r} {caught.value.__cause__!r}"
    assert f"127.0.0.1:{port}" in words
    assert "token" not in words
    assert "key=1" not in words


@pytest.mark.parametrize(
    ("secret", "key"),
    [(STANDARD_SECRET, KEY), (SECRET, SECRET.encode()), ("geheime Grüße, 音声", "geheime Grüße, 音声".encode())],
)
def test_a_library_of_standard_webhooks_verifies_what_is_sent(secret: str, key: bytes) -> None:
    """By the secret in the form of the specification, and by the bytes of the key."""
    content = {"id": "4a7c:FAILURE", "title": "Käse, 音声"}
    with receiver(500) as found:
        assert send(to(found, secret), content) == 2
    for request in found.received:
        headers = request.headers
        assert standardwebhooks.Webhook(standard_secret(secret)).verify(request.body, headers) == content
        assert standardwebhooks.Webhook(key).verify(request.body, headers) == content
        assert headers[ID] == content["id"], "receivers know by it that a message came twice"
        for other, body, changed in (
            (b"another secret, as long", request.body, {}),
            (key, request.body + b" ", {}),
            (key, request.body, {ID: "4a7c:SUCCESS"}),
            (key, request.body, {TIMESTAMP: str(int(headers[TIMESTAMP]) + 1)}),
            (key, request.body, {TIMESTAMP: str(int(headers[TIMESTAMP]) - 301)}),
        ):
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook(other).verify(body, headers | changed)


def test_a_message_without_an_id_keeps_the_one_that_it_is_given() -> None:
    with receiver(500) as found:
        send(to(found), {})
        send(to(found), {})
    first, second, another = (r.headers[ID] for r in found.received)
    assert first == second != another


def test_the_receiver_knows_who_sent_it() -> None:
    with receiver() as found:
        send(to(found), {"title": "Käse, 音声"})
    (request,) = found.received
    header = request.headers[SIGNATURE]
    now = time.time()
    assert is_authentic(SECRET, request.body, header, now=now)
    assert not is_authentic("another secret, as long", request.body, header, now=now)
    assert not is_authentic(SECRET, request.body + b" ", header, now=now)
    assert not is_authentic(SECRET, request.body, header, now=now + 301), "it may be sent again by whoever recorded it"
    later = header.replace("t=", "t=1")
    assert not is_authentic(SECRET, request.body, later, now=int(later[2:].split(",")[0]))
    for odd in ("", "t=,v1=", "v1=0", "t=1e9,v1=00", header.upper()):
        assert not is_authentic(SECRET, request.body, odd, now=now)


def test_the_signature_is_the_one_that_the_documentation_promises() -> None:
    expected = hmac.new(SECRET.encode(), b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature(SECRET, b'{"a":1}', 1_700_000_000) == f"t=1700000000,v1={expected}"
    standard = hmac.new(SECRET.encode(), b'an-id.1700000000.{"a":1}', hashlib.sha256).digest()
    assert standard_headers(SECRET, "an-id", b'{"a":1}', 1_700_000_000) == {
        "webhook-id": "an-id",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{base64.b64encode(standard).decode()}",
    }


def test_every_try_is_signed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000, 2000, 100))
    monkeypatch.setattr(webhook, "time", SimpleNamespace(time=lambda: next(clock)))
    with receiver(500, 500) as found:
        send(to(found), {})
    assert [r.headers[SIGNATURE].split(",")[0] for r in found.received] == ["t=1000", "t=1100", "t=1200"]
    assert [r.headers[TIMESTAMP] for r in found.received] == ["1000", "1100", "1200"]
    assert len({r.headers[STANDARD_SIGNATURE] for r in found.received}) == 3


def test_the_secret_is_shown_nowhere(place: Place) -> None:
    assert SECRET not in repr(Webhook("http://h/x", SECRET))
    given = {"PODCAST_WEBHOOK_URL": "https://example.org/x", "PODCAST_WEBHOOK_SECRET": SECRET}
    for arguments in (["settings"], ["settings", "--json"]):
        shown = place.command(*arguments, **given)
        assert shown.returncode == 0
        assert "PODCAST_WEBHOOK_SECRET" in shown.stdout
        assert SECRET not in shown.stdout + shown.stderr
    short = place.command("settings", PODCAST_WEBHOOK_SECRET="tooshort")
    assert (short.returncode, "tooshort" in short.stderr) == (2, False)
    assert "PODCAST_WEBHOOK_SECRET=…: must have at least 16 characters" in short.stderr
    unsigned = place.command("settings", PODCAST_WEBHOOK_URL="https://example.org/x")
    assert unsigned.returncode == 2
    assert "is set without PODCAST_WEBHOOK_SECRET" in unsigned.stderr


def test_a_secret_that_looks_standard_and_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers' libraries would disagree about its key."""
    for secret in (STANDARD_SECRET, STANDARD_SECRET.rstrip("="), SECRET):
        monkeypatch.setenv("PODCAST_WEBHOOK_SECRET", secret)
        assert Settings().webhook_secret is not None
    monkeypatch.setenv("PODCAST_WEBHOOK_SECRET", "whsec_no-base64, as it looks")
    with pytest.raises(ValueError, match="begins with whsec_, and what follows is not base64") as caught:
        Settings()
    assert "as it looks" not in str(caught.value)
