"""Send webhooks, signed as Standard Webhooks specifies (https://www.standardwebhooks.com) and with retries.

The headers are `webhook-id`, `webhook-timestamp` and `webhook-signature`. For one more release, requests also have the header of
earlier versions, `Podcast-Signature: t=<POSIX seconds>,v1=<hex>`: `v1` is the HMAC-SHA256 of `<t>.<body>` with the secret as key
(https://docs.stripe.com/webhooks#verify-manually).
"""

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

from podcast_assets.common.webhook_signing import standard_headers

SIGNATURE = "Podcast-Signature"
"""The header of earlier versions."""
_HEADER = re.compile("t=(?P<t>[0-9]{1,12}),v1=(?P<v1>[0-9a-f]{64})")
TOLERANCE = 300
"""Maximum age of a request in seconds, including clock differences; Stripe's default."""
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 2.0, 16.0
"""Bounds of the random wait before a retry, in seconds. The upper bound doubles with each retry, so that many senders do not retry
at once (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). At most 2 + 4 + 8 + 16 in all."""
TIMEOUT = (2.0, 3.0)
"""Seconds to connect and to wait for the response. All attempts and waits fit into the 60 s that Dagster allows a sensor."""


class DeliveryFailed(RuntimeError):
    """A webhook could not be delivered. The message names only the host, because a URL may contain a token."""


@dataclass(frozen=True)
class Webhook:
    """URL of a webhook, and the secret to sign requests with."""

    url: str
    secret: str

    def __repr__(self) -> str:
        """Show neither the secret nor the path and query of the URL."""
        return f"Webhook({self.host})"

    @property
    def host(self) -> str:
        """Host of the URL, with its port."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """Return the value of the header `Podcast-Signature`.

    Args:
        secret: shared secret.
        body: the exact body of the request.
        timestamp: POSIX seconds.
    """
    return f"t={timestamp},v1={_digest(secret, body, timestamp)}"


def is_authentic(secret: str, body: bytes, header: str, *, now: float, tolerance: float = TOLERANCE) -> bool:
    """Verify the header `Podcast-Signature` of a received request.

    The header is sent for one more release. Verify the headers of Standard Webhooks instead, with one of its libraries.

    Args:
        secret: shared secret.
        body: the exact body of the request.
        header: value of the header.
        now: current time, POSIX seconds.
        tolerance: maximum age of the request, seconds.
    """
    match = _HEADER.fullmatch(header)
    if match is None or abs(now - int(match["t"])) > tolerance:
        return False
    return hmac.compare_digest(_digest(secret, body, int(match["t"])), match["v1"])


def _digest(secret: str, body: bytes, timestamp: int) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class _AttemptFailed(Exception):
    """An attempt to send a webhook failed; the message says why."""


def send(webhook: Webhook, content: Mapping[str, Any]) -> int:
    """Post signed JSON to a webhook. Any 2xx status is a success; redirects are not followed.

    Args:
        webhook: the webhook.
        content: the JSON object to send. Its `id` becomes the id of the message; without one, a random id is used.

    Returns:
        The number of attempts.

    Raises:
        DeliveryFailed: all `TRIES` attempts failed.
    """
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    message_id = str(content.get("id") or uuid.uuid4())
    tries = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, min=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception_type(_AttemptFailed),
        reraise=True,
    )
    try:
        for attempt in tries:
            with attempt:
                _post(webhook, message_id, body)
    except _AttemptFailed as last:
        raise DeliveryFailed(
            f"the webhook at {webhook.host} failed in all {TRIES} attempts; the last error: {last}"
        ) from None
    return int(tries.statistics["attempt_number"])


def _post(webhook: Webhook, message_id: str, body: bytes) -> None:
    import requests  # slow to import, and few runs send a webhook

    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        **standard_headers(webhook.secret, message_id, body, now),
        SIGNATURE: signature(webhook.secret, body, now),
    }
    try:
        with requests.post(
            webhook.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            status = response.status_code
    except requests.RequestException as error:  # its message contains the whole URL
        raise _AttemptFailed(type(error).__name__) from None
    if not 200 <= status < 300:
        raise _AttemptFailed(f"status {status}")
