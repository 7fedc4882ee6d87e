"""Telling another service: signed by Standard Webhooks (https://www.standardwebhooks.com), and tried again while it is busy.

The headers are `webhook-id`, `webhook-timestamp` and `webhook-signature`. For one more release a request also carries
`Podcast-Signature: t=<POSIX seconds>,v1=<hex>`, which was the only one before: `v1` is HMAC-SHA256, keyed by the secret, over
`<t>.<body>` (https://docs.stripe.com/webhooks#verify-manually).
"""

import base64
import datetime
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

ID, TIMESTAMP, STANDARD_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
SECRET_PREFIX = "whsec_"  # noqa: S105  (no secret: what they begin with)
"""Begins a secret that is written as Standard Webhooks has it: base64 of the key follows."""
SIGNATURE = "Podcast-Signature"
"""The header of earlier versions."""
_HEADER = re.compile("t=(?P<t>[0-9]{1,12}),v1=(?P<v1>[0-9a-f]{64})")
TOLERANCE = 300
"""Seconds by which a request may be old, and clocks apart; Stripe's default."""
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0
"""Seconds before a try: at random between the first and a bound that doubles, so that many senders do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). With `TRIES` at most 2 + 4 + 8 + 16."""
TIMEOUT = (2.0, 3.0)
"""Seconds to connect and to wait for the answer. All tries with their waits are under the 60 s that Dagster gives a sensor."""


class DeliveryFailed(RuntimeError):
    """The other side took it at no try. The message names its host only: a URL may hold a token."""


@dataclass(frozen=True)
class Webhook:
    """Where to send, and what to sign with."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Names neither the secret nor more of the URL than its host."""
        return f"Webhook({self.host})"

    @property
    def host(self) -> str:
        """The host, with its port."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def standard_secret(secret: str) -> str:
    """The secret as libraries of Standard Webhooks take it: `whsec_` and the key in base64.

    One that begins so is given back as it is. Of any other text the UTF-8 bytes are the key.
    """
    return secret if secret.startswith(SECRET_PREFIX) else SECRET_PREFIX + base64.b64encode(secret.encode()).decode()


def standard_headers(secret: str, message_id: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers of Standard Webhooks.

    Args:
        secret: known to both sides; see `standard_secret`.
        message_id: the same at every try, by which receivers know a message that they have.
        body: exactly what is sent.
        timestamp: POSIX seconds.
    """
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    import standardwebhooks  # every run imports this module, and few send anything

    signed = standardwebhooks.Webhook(standard_secret(secret)).sign(message_id, moment, body.decode())
    return {ID: message_id, TIMESTAMP: str(timestamp), STANDARD_SIGNATURE: signed}


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The value of the header of earlier versions.

    Args:
        secret: known to both sides.
        body: exactly what is sent.
        timestamp: POSIX seconds.
    """
    return f"t={timestamp},v1={_digest(secret, body, timestamp)}"


def is_authentic(secret: str, body: bytes, header: str, *, now: float, tolerance: float = TOLERANCE) -> bool:
    """For receivers: whether a `Podcast-Signature` was made with the secret, for this body, and not long ago (POSIX seconds).

    The header is sent for one more release: verify the headers of Standard Webhooks, with one of its libraries.
    """
    match = _HEADER.fullmatch(header)
    if match is None or abs(now - int(match["t"])) > tolerance:
        return False
    return hmac.compare_digest(_digest(secret, body, int(match["t"])), match["v1"])


def _digest(secret: str, body: bytes, timestamp: int) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class _TryAgain(Exception):
    """What was wrong with a try."""


def send(webhook: Webhook, content: Mapping[str, Any]) -> int:
    """Post JSON to a webhook, signed anew at each try; gives the number of tries. Any 2xx is success, a redirect is none.

    Args:
        webhook: where to.
        content: its `id` is the message's id, by which receivers know what they have; one without gets a random one.

    Raises:
        DeliveryFailed: none of `TRIES` tries succeeded.
    """
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    message_id = str(content.get("id") or uuid.uuid4())
    tries = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, min=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception_type(_TryAgain),
        reraise=True,
    )
    try:
        for attempt in tries:
            with attempt:
                _post(webhook, message_id, body)
    except _TryAgain as last:
        raise DeliveryFailed(f"the webhook at {webhook.host} took nothing in {TRIES} tries; the last: {last}") from None
    return int(tries.statistics["attempt_number"])


def _post(webhook: Webhook, message_id: str, body: bytes) -> None:
    import requests  # every run imports this module, and few send anything

    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        **standard_headers(webhook.secret, message_id, body, now),
        SIGNATURE: signature(webhook.secret, body, now),
    }
    try:
        with requests.post(
            webhook.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:  # its words hold the whole URL
        raise _TryAgain(type(error).__name__) from None
    if not 200 <= status < 300:
        raise _TryAgain(f"status {status}")
