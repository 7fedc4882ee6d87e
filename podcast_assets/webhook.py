"""Telling another service: signed as Stripe signs its webhooks, and tried again while the other side is busy.

Header `Podcast-Signature: t=<seconds since 1970>,v1=<hex>`, where `v1` is HMAC-SHA256, keyed by the secret, over `<t>.<body>`
(https://docs.stripe.com/webhooks#verify-manually). The time is signed, so that a recorded request cannot be sent again later.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

SIGNATURE = "Podcast-Signature"
_HEADER = re.compile("t=(?P<t>[0-9]{1,12}),v1=(?P<v1>[0-9a-f]{64})")
TOLERANCE = 300
"""Seconds by which a request may be old, and clocks apart; Stripe's default."""
TRIES = 5
FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0
"""Seconds before a try: at random between the first and a bound that doubles, so that many senders do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). With `TRIES` at most 2 + 4 + 8 + 16."""
TIMEOUT = (2.0, 3.0)
"""Seconds to connect and to wait for the answer. All tries with their waits are under the 60 s that Dagster gives a sensor."""


class Undelivered(RuntimeError):
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


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The header's value.

    Args:
        secret: known to both sides.
        body: exactly what is sent.
        timestamp: POSIX seconds.
    """
    return f"t={timestamp},v1={_digest(secret, body, timestamp)}"


def is_authentic(secret: str, body: bytes, header: str, *, now: float, tolerance: float = TOLERANCE) -> bool:
    """For receivers: whether a request was signed with the secret, for this body, and not long ago (POSIX seconds)."""
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

    Raises:
        Undelivered: none of `TRIES` tries succeeded.
    """
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    tries = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(multiplier=FIRST_WAIT, min=FIRST_WAIT, max=LONGEST_WAIT),
        retry=retry_if_exception_type(_TryAgain),
        reraise=True,
    )
    try:
        for attempt in tries:
            with attempt:
                _post(webhook, body)
    except _TryAgain as last:
        raise Undelivered(f"the webhook at {webhook.host} took nothing in {TRIES} tries; the last: {last}") from None
    return int(tries.statistics["attempt_number"])


def _post(webhook: Webhook, body: bytes) -> None:
    import requests  # every run imports this module, and few send anything

    headers = {"Content-Type": "application/json", SIGNATURE: signature(webhook.secret, body, int(time.time()))}
    try:
        with requests.post(
            webhook.url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:  # its words hold the whole URL
        raise _TryAgain(type(error).__name__) from None
    if not 200 <= status < 300:
        raise _TryAgain(f"status {status}")
