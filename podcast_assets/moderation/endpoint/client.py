"""The connection to an OpenAI-compatible server: requests with a deadline and retries, and errors that say what to do."""

import datetime
import email.utils
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_before_delay,
    wait_exponential_jitter,
)

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.redaction import redact_text, redact_url
from podcast_assets.moderation.endpoint.adapters.answer import Unreadable

CONNECT_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Bounds of the wait before a retry, s; it doubles each time."""
SERVER_ERRORS = 4
"""How often one request may be answered by status 500 before it is the request's own fault."""
MOST_BYTES = 4 << 20
"""Most of an answer that is read: the largest one has some thousand tokens with log-probabilities."""
LONGEST_MESSAGE = 160
"""Characters of a server's message that are shown: it may quote the request."""
_AGAIN = (408, 425, 429, 502, 503, 504)
_TOO_LONG = ("context", "too long", "maximum length", "max_model_len", "exceed")


class RequestFailed(RuntimeError):
    """The server failed again and again at one request."""


class TooLong(Unreadable):
    """The server says that the question is longer than the model's context."""


class _TryAgain(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after
        """Seconds that the server asks to wait."""


@dataclass(frozen=True)
class Reply:
    """A server's answer to one request, read to its end."""

    status: int
    content: bytes
    retry_after: str = ""
    """Header Retry-After."""

    def json(self) -> Any:
        """Parse it.

        Raises:
            ValueError: it is not JSON.
        """
        return json.loads(self.content)


@dataclass(frozen=True)
class Urls:
    """The addresses of a server."""

    api: str
    """With its version: https://host/v1."""
    root: str
    """Where llama.cpp and vLLM have /tokenize and /props."""

    @classmethod
    def of(cls, url: str) -> "Urls":
        """Derive both from a URL with or without /v1."""
        plain = url.rstrip("/")
        if urlsplit(plain).path in ("", "/"):
            return cls(f"{plain}/v1", plain)
        return cls(plain, plain.removesuffix("/v1"))


class Client:
    """Sends requests to a server; may be used by several threads at once.

    Args:
        url: URL of the server, with or without /v1.
        key: API key, if it needs one.
        timeout: seconds that the server may take for an answer.
        patience: seconds for which a request is tried again before the server counts as lost.
        connections: connections at once.
        direct: whether proxies of the environment are ignored, as for servers on private networks.
        most_bytes: most of an answer that is read.
        variables: beginning of the names of the settings that messages name.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 120.0,
        patience: float = 300.0,
        connections: int = 8,
        direct: bool = True,
        most_bytes: int = MOST_BYTES,
        variables: str = "PODCAST_MODERATION",
    ) -> None:
        self.urls = Urls.of(url)
        self.shown = redact_url(self.urls.api)
        self.patience = patience
        self._most_bytes = most_bytes
        self._variables = variables
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(timeout, connect=CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not direct,
        )

    def complete(self, path: str, body: Mapping[str, Any], stop: threading.Event | None = None) -> Any:
        """Ask for a completion; returns the answer's JSON.

        Args:
            path: path below the URL of the API.
            body: the request.
            stop: once it is set, the request is not tried again.

        Raises:
            Unreadable: the server refuses this request, as too long or invalid, or its answer is not JSON.
            RequestFailed: the server fails at this request again and again.
            EngineUnavailable: the server cannot be reached, or refuses all requests.
        """
        failures = 0

        def attempt() -> Any:
            nonlocal failures
            reply = self._send("POST", f"{self.urls.api}/{path}", body)
            if reply.status == 500:
                failures += 1
                if failures >= SERVER_ERRORS:
                    raise RequestFailed(f"{self.shown} failed {failures} times at one request: {_message(reply)}")
                raise _TryAgain(f"status 500: {_message(reply)}")
            return self._check(reply)

        return self._retry(attempt, stop or threading.Event())

    def look_up(self, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for a fact that not every server tells; None if it tells nothing. Waits for a server that is starting.

        Raises:
            EngineUnavailable: the server cannot be reached.
        """

        def attempt() -> Any:
            reply = self._send("GET" if body is None else "POST", url, body)
            if reply.status in _AGAIN:
                raise _TryAgain(f"status {reply.status}", _retry_after(reply))
            try:
                return reply.json() if reply.status == 200 else None
            except ValueError:
                return None

        return self._retry(attempt, threading.Event())

    def _retry(self, attempt: Callable[[], Any], stop: threading.Event) -> Any:
        def attempt_unless_stopped() -> Any:
            if stop.is_set():
                raise RequestFailed("the work was stopped")
            return attempt()

        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=_wait,
            stop=stop_before_delay(self.patience),
            sleep=sleep_using_event(stop),
            reraise=True,
        )
        try:
            return retrying(attempt_unless_stopped)
        except _TryAgain as error:
            raise EngineUnavailable(
                f"{self.shown} does not answer ({error}); it was tried for {self.patience:g} s ({self._variables}_PATIENCE). "
                "Answers so far are kept: start the server, then run again"
            ) from error

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None) -> Reply:
        try:
            with self._http.stream(method, url, json=body) as response:
                content = bytearray()
                for block in response.iter_bytes():
                    content += block
                    if len(content) > self._most_bytes:
                        raise RequestFailed(f"{self.shown} answers with more than {self._most_bytes >> 20} MB")
                return Reply(response.status_code, bytes(content), response.headers.get("Retry-After", ""))
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise _TryAgain(redact_text(f"{type(error).__name__}: {error}".rstrip(": "))) from error
        except httpx2.InvalidURL as error:
            raise EngineUnavailable(f"{self.shown} is not a valid URL: {redact_text(str(error))}") from error

    def _check(self, reply: Reply) -> Any:
        """Return the JSON of a completion.

        Raises:
            Unreadable: the request is refused, or the answer is not JSON.
            EngineUnavailable: all requests are refused.
        """
        if reply.status in _AGAIN:
            raise _TryAgain(f"status {reply.status}: {_message(reply)}", _retry_after(reply))
        if reply.status == 200:
            try:
                return reply.json()
            except ValueError:
                raise Unreadable("the server's answer is not JSON") from None
        message = _message(reply)
        if reply.status in (400, 413, 422):
            if b"content_filter" in reply.content:
                raise Unreadable("the server's content filter refused it")
            if reply.status == 413 or any(word in message.lower() for word in _TOO_LONG):
                raise TooLong(f"too long for the server: {message}")
            raise Unreadable(f"the server refused the request: {message}")
        advice = {
            401: f"check {self._variables}_API_KEY",
            403: f"check {self._variables}_API_KEY",
            404: f"check {self._variables}_URL and {self._variables}_MODEL",
        }.get(reply.status, f"check {self._variables}_URL")
        raise EngineUnavailable(f"{self.shown} answers with status {reply.status} ({message}): {advice}")


_backoff = wait_exponential_jitter(multiplier=FIRST_WAIT, max=LONGEST_WAIT, jitter=FIRST_WAIT)


def _wait(state: RetryCallState) -> float:
    """What the server asks for, or exponential back-off."""
    error = state.outcome.exception() if state.outcome else None
    after = error.after if isinstance(error, _TryAgain) else None
    return _backoff(state) if after is None else after


def _retry_after(reply: Reply) -> float | None:
    """Seconds of the header Retry-After, a number or a date (RFC 9110, 10.2.3)."""
    value = reply.retry_after.strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - time.time())


def _message(reply: Reply) -> str:
    """What an error says, in one short line."""
    try:
        content = reply.json()
    except ValueError:
        return f"{len(reply.content)} bytes that are not JSON" if reply.content else "no message"
    error = content.get("error", content.get("detail", content)) if isinstance(content, dict) else content
    message = error.get("message", error) if isinstance(error, dict) else error
    text = message if isinstance(message, str) else json.dumps(message)
    line = " ".join(redact_text(text).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…"
