"""HTTP GET of untrusted URLs: checked addresses, verified certificates, followed redirects, bounded time.

urllib3 without its pool manager: a connection class of its own is the one place where the address that was judged is the address
that is connected to, with the host's name kept for the certificate. No proxy of the environment is used: it would connect instead.
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
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout
from urllib3.util.connection import create_connection

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.addresses import Resolve, public_addresses, resolve
from podcast_assets.intake.downloads.politeness import HostTurns, Stopped
from podcast_assets.intake.downloads.urls import ParsedUrl, parse_url, redact_url, resolve_redirect
from podcast_assets.store.store import BLOCK

REDIRECTS = 12
"""Followed at most; episodes are often behind four or five that count listeners."""
CONNECT_SECONDS, SILENCE_SECONDS = 10.0, 30.0
"""Given to a connection to come about, and to a server to say something."""
_MOVED = {301, 302, 303, 307, 308}
_MOVED_FOR_GOOD = {301, 308}


def verifying_context() -> ssl.SSLContext:
    """Certificates are verified by the system's authorities, or those of SSL_CERT_FILE, and certifi's where the system has none."""
    context = ssl.create_default_context()
    if not os.environ.get("SSL_CERT_FILE") and not context.get_ca_certs():
        context.load_verify_locations(certifi.where())
    return context


class Transient(Exception):
    """A download failed, and may succeed later. `retry_after` is what the server asked for, s."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OutOfTime(Transient):
    """A request exceeded its time limit."""


class Deadline:
    """Deadline that ends connections in any phase: in the handshake, the headers, or a body that trickles."""

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
        """Watch another connection. Its double stays good when TLS takes the socket over."""
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
    """Seconds."""

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
            except OSError as failed:
                error = failed
            else:
                self.deadline.watch(sock)
                return sock
        raise error or OSError("it has no address")


class _GuardedHTTP(HTTPConnection):
    def __init__(self, *args: Any, way: _GuardedConnector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._way = way

    def _new_conn(self) -> socket.socket:
        return self._way.connect(self)


class _GuardedHTTPS(HTTPSConnection):
    def __init__(self, *args: Any, way: _GuardedConnector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._way = way

    def _new_conn(self) -> socket.socket:
        return self._way.connect(self)


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _GuardedHTTP  # type: ignore[assignment]  # which the protocol's types leave no room for


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedHTTPS  # type: ignore[assignment]


@dataclass(frozen=True)
class HttpResponse:
    """Response of a server, after all redirects."""

    url: str
    """Where it came from at last."""
    moved_to: str | None
    """Where all redirects led that are for good, before the first that is not; None where there were none."""
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
            Transient: it broke off before its end, as far as the server said where that is.
            Stopped: nobody wants it any more.
        """
        with _translate_errors(self.url, self._deadline):
            while block := self._response.read1(BLOCK, decode_content=self.encoded):
                yield block
                if self._hosts.stopped:
                    raise Stopped
        if self._deadline.over:
            raise OutOfTime(f"{redact_url(self.url)}: it took too long")


@dataclass(frozen=True)
class HttpClient:
    """HTTP client for the public network and explicitly allowed hosts."""

    hosts: HostTurns
    user_agent: str
    allowed: frozenset[str] = frozenset()
    """Hosts that may be fetched from wherever they are."""
    resolver: Resolve = resolve
    tls: ssl.SSLContext = field(default_factory=verifying_context, repr=False)
    silence: float = SILENCE_SECONDS

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str], budget: TimeBudget) -> Iterator[HttpResponse]:
        """Request a URL and follow its redirects.

        Args:
            url: of http or https; user and password in it go to its own host only.
            headers: beside those that say who asks.
            budget: time that it may take, the body included.

        Raises:
            BadInput: it is no URL, leads to an address that is not public, or redirects without end.
            Transient: nobody answers, or too late.
        """
        here, moved, for_good = parse_url(url), None, True
        login = here.login
        for _ in range(REDIRECTS + 1):
            with self.hosts.visit(here.host), budget.spending() as deadline:
                with _translate_errors(here.url, deadline):
                    pool, response = self._request(here, login, headers, deadline)
                try:
                    location = response.headers.get("Location")
                    if response.status not in _MOVED or not location:
                        yield HttpResponse(
                            here.url, moved, response.status, response.headers, response, deadline, self.hosts
                        )
                        return
                finally:
                    response.close()
                    pool.close()
            after = parse_url(resolve_redirect(here.url, location))
            for_good = for_good and response.status in _MOVED_FOR_GOOD
            moved = after.url if for_good else moved
            login = after.login or (login if after.origin == here.origin else None)
            here = after
        raise BadInput(f"{redact_url(url)}: more than {REDIRECTS} redirects")

    def _request(
        self, here: ParsedUrl, login: str | None, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[HTTPConnectionPool, urllib3.BaseHTTPResponse]:
        resolver = self.resolver
        addresses = (resolver if here.host in self.allowed else _public_resolver(resolver))(here.host, here.port)
        way = _GuardedConnector(tuple(addresses), deadline)
        if here.scheme == "https":
            pool = _HTTPSPool(here.host, here.port, ssl_context=self.tls, way=way)
        else:
            pool = _HTTPPool(here.host, here.port, way=way)
        sent = {"User-Agent": self.user_agent, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
        if login:
            sent["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        response = pool.urlopen(
            "GET",
            here.path,
            headers=sent,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=CONNECT_SECONDS, read=self.silence),
        )
        return pool, response


def _public_resolver(resolver: Resolve) -> Resolve:
    return lambda host, port: public_addresses(host, port, resolver)


@contextmanager
def _translate_errors(url: str, deadline: Deadline) -> Iterator[None]:
    """Translate network errors to messages for people, without the secrets of URLs."""
    try:
        yield
    except (Transient, BadInput):
        raise
    except (urllib3.exceptions.HTTPError, OSError) as error:
        if deadline.over:
            raise OutOfTime(f"{redact_url(url)}: it took too long") from None
        raise Transient(f"{redact_url(url)}: {_describe_error(error)}") from None


def _describe_error(error: Exception) -> str:
    cause = error.args[-1] if error.args and isinstance(error.args[-1], Exception) else error.__cause__
    match error:
        case socket.gaierror():
            return f"its name cannot be resolved ({error.strerror})"
        case urllib3.exceptions.SSLError() | ssl.SSLError():
            return f"its certificate or its TLS is not right ({cause or error})"
        case urllib3.exceptions.TimeoutError() | TimeoutError():
            return "no answer in time"
        case urllib3.exceptions.IncompleteRead():
            return "it broke off before its end"
        case urllib3.exceptions.ProtocolError():
            return f"it broke off ({type(cause).__name__ if cause else 'protocol error'})"
        case OSError():
            return f"no connection ({error.strerror or type(error).__name__})"
    return type(error).__name__
