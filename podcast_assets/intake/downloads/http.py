"""Requests to untrusted URLs: checked addresses, verified certificates, followed redirects, bounded time.

urllib3 is used without its pool manager: a custom connection class makes sure that the address that was checked is the one that is
connected to, while the certificate is verified for the host's name. Proxies of the environment are ignored, because a proxy would
connect on its own.
"""

import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import certifi
import urllib3
from requests import Request
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout
from urllib3.util.connection import create_connection

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.addresses import Resolve, public_addresses, resolve
from podcast_assets.intake.downloads.politeness import HostTurns, Stopped
from podcast_assets.intake.downloads.urls import ParsedUrl, parse_url, resolve_redirect
from podcast_assets.store.store import BLOCK

REDIRECTS = 12
"""Maximum number of redirects; episodes are often behind four or five trackers."""
CONNECT_SECONDS, SILENCE_SECONDS = 10.0, 30.0
"""Timeouts for connecting and for a silent server, s."""
_REDIRECTS = {301, 302, 303, 307, 308}
_PERMANENT_REDIRECTS = {301, 308}


def verifying_context() -> ssl.SSLContext:
    """TLS context that trusts the system's authorities or those of SSL_CERT_FILE, and certifi's if the system has none."""
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE") and not context.get_ca_certs():
        context.load_verify_locations(certifi.where())
    return context


class Transient(Exception):
    """A download failed and may succeed later. `retry_after` is the wait that the server requested, s."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutOfTime(Transient):
    """A request exceeded its time limit."""


class Deadline:
    """Deadline that closes connections in any phase: handshake, headers or a slow body."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(seconds, 0.0), self._end_connections)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def watch(self, sock: socket.socket) -> None:
        """Watch another connection. A duplicate of the socket is kept, because TLS takes over the original."""
        with self._lock:
            self._sockets.append(sock.dup())
        if self.over:
            self._end_connections()

    def _end_connections(self) -> None:
        self.over = True
        with self._lock:
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


@dataclass
class TimeBudget:
    """Time limit shared by several requests. Waiting for a turn at a host is not counted."""

    left: float
    """Remaining time, s."""

    @contextmanager
    def spending(self) -> Iterator[Deadline]:
        """Spend the time of the block from the budget."""
        began = time.monotonic()
        try:
            with Deadline(self.left) as deadline:
                yield deadline
        finally:
            self.left -= time.monotonic() - began


@dataclass(frozen=True)
class _GuardedConnector:
    """Opens connections to checked addresses, within a deadline."""

    addresses: tuple[str, ...]
    deadline: Deadline

    def connect(self, connection: HTTPConnection) -> socket.socket:
        error: OSError | None = None
        for address in self.addresses:
            if self.deadline.over:
                break
            try:
                sock = create_connection(
                    (address, connection.port), connection.timeout, socket_options=connection.socket_options
                )
            except OSError as connect_error:
                error = connect_error
            else:
                self.deadline.watch(sock)
                return sock
        raise error or OSError("the host has no address")


class _GuardedHTTP(HTTPConnection):
    def __init__(self, *args: Any, connector: _GuardedConnector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connector = connector

    def _new_conn(self) -> socket.socket:
        return self._connector.connect(self)


class _GuardedHTTPS(HTTPSConnection):
    def __init__(self, *args: Any, connector: _GuardedConnector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connector = connector

    def _new_conn(self) -> socket.socket:
        return self._connector.connect(self)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP  # type: ignore[assignment]  # urllib3's types do not allow for a subclass


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS  # type: ignore[assignment]


@dataclass(frozen=True)
class HttpResponse:
    """Response of a server, after all redirects."""

    url: str
    """URL of the last redirect."""
    moved_to: str | None
    """Where the leading permanent redirects led; None if the first redirect is not permanent."""
    status: int
    headers: Mapping[str, str]
    _response: urllib3.BaseHTTPResponse = field(repr=False)
    _deadline: Deadline = field(repr=False)
    _hosts: HostTurns = field(repr=False)

    @property
    def encoded(self) -> bool:
        """Whether the body is compressed although that was not requested."""
        return self.headers.get("Content-Encoding", "identity").lower() not in ("", "identity")

    def blocks(self) -> Iterator[bytes]:
        """Iterate over the body, decompressed if necessary.

        Raises:
            Transient: the connection broke off before the end of the body.
            Stopped: the downloads were stopped.
        """
        with _translate_errors(self.url, self._deadline):
            while block := self._response.read1(BLOCK, decode_content=self.encoded):
                yield block
                if self._hosts.stopped:
                    raise Stopped
        if self._deadline.over:
            raise OutOfTime(f"{redact_url(self.url)}: the download took too long")


@dataclass(frozen=True)
class HttpClient:
    """HTTP client for the public network and explicitly allowed hosts."""

    hosts: HostTurns
    user_agent: str
    allowed: frozenset[str] = frozenset()
    """Hosts that may have a private address."""
    resolver: Resolve = resolve
    tls: ssl.SSLContext = field(default_factory=verifying_context, repr=False)
    silence: float = SILENCE_SECONDS

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str], budget: TimeBudget) -> Iterator[HttpResponse]:
        """Request a URL and follow its redirects. Cookies that are set on the way are sent to their hosts, and then forgotten.

        Args:
            url: http or https URL; its user and password are sent to its own host only.
            headers: additional request headers.
            budget: time limit, including the body.

        Raises:
            BadInput: the URL is invalid, leads to an address that is not public, or redirects too often.
            Transient: the server does not answer in time.
        """
        current, moved_to, permanent = parse_url(url), None, True
        login, cookies = current.login, RequestsCookieJar()
        for _ in range(REDIRECTS + 1):
            with self.hosts.visit(current.host), budget.spending() as deadline:
                with _translate_errors(current.url, deadline):
                    pool, response = self._request(
                        current, login, {**headers, **_cookie_header(cookies, current)}, deadline
                    )
                try:
                    location = response.headers.get("Location")
                    if response.status not in _REDIRECTS or not location:
                        yield HttpResponse(
                            current.url, moved_to, response.status, response.headers, response, deadline, self.hosts
                        )
                        return
                finally:
                    response.close()
                    pool.close()
            extract_cookies_to_jar(cookies, _cookie_request(current), response)
            target = parse_url(resolve_redirect(current.url, location))
            permanent = permanent and response.status in _PERMANENT_REDIRECTS
            moved_to = target.url if permanent else moved_to
            login = target.login or (login if target.origin == current.origin else None)
            current = target
        raise BadInput(f"{redact_url(url)}: more than {REDIRECTS} redirects")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], budget: TimeBudget) -> int:
        """Post to a URL, and return the status of the answer, whose body is not read. Redirects are not followed.

        Raises:
            BadInput: the URL is invalid, or leads to an address that is not public.
            Transient: the server does not answer in time.
        """
        target = parse_url(url)
        with self.hosts.visit(target.host), budget.spending() as deadline, _translate_errors(target.url, deadline):
            pool, response = self._request(target, target.login, headers, deadline, "POST", body)
            response.close()
            pool.close()
            return response.status

    def _request(
        self,
        url: ParsedUrl,
        login: str | None,
        headers: Mapping[str, str],
        deadline: Deadline,
        method: str = "GET",
        body: bytes | None = None,
    ) -> tuple[HTTPConnectionPool, urllib3.BaseHTTPResponse]:
        resolver = self.resolver
        addresses = (resolver if url.host in self.allowed else _public_resolver(resolver))(url.host, url.port)
        connector = _GuardedConnector(tuple(addresses), deadline)
        if url.scheme == "https":
            pool = _HTTPSPool(url.host, url.port, ssl_context=self.tls, connector=connector)
        else:
            pool = _HTTPPool(url.host, url.port, connector=connector)
        all_headers = {"User-Agent": self.user_agent, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if login:
            all_headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        response = pool.urlopen(
            method,
            url.path,
            body=body,
            headers=all_headers,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=CONNECT_SECONDS, read=self.silence),
        )
        return pool, response


def _cookie_header(cookies: RequestsCookieJar, url: ParsedUrl) -> dict[str, str]:
    found = get_cookie_header(cookies, _cookie_request(url))
    return {"Cookie": found} if found else {}


def _cookie_request(url: ParsedUrl) -> Any:
    """A request as the functions for cookies need it, which read its URL and headers only."""
    return Request("GET", url.url, headers={})


def _public_resolver(resolver: Resolve) -> Resolve:
    return lambda host, port: public_addresses(host, port, resolver)


@contextmanager
def _translate_errors(url: str, deadline: Deadline) -> Iterator[None]:
    """Translate network errors to one-line messages without the secrets of URLs."""
    try:
        yield
    except (Transient, BadInput):
        raise
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if deadline.over:
            raise OutOfTime(f"{redact_url(url)}: the download took too long") from None
        raise Transient(f"{redact_url(url)}: {_describe_error(error)}") from None


def _describe_error(error: Exception) -> str:
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error.__cause__
    match error:
        case socket.gaierror():
            return f"the host name cannot be resolved ({error.strerror})"
        case urllib3.exceptions.SSLError() | ssl.SSLError():
            return f"TLS or certificate verification failed ({cause or error})"
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return "no answer in time"
        case urllib3.exceptions.IncompleteRead():
            return "the connection broke off before the end"
        case urllib3.exceptions.ProtocolError():
            return f"the connection broke off ({type(cause).__name__ if cause else 'protocol error'})"
        case OSError():
            return f"no connection ({error.strerror or type(error).__name__})"
    return type(error).__name__
