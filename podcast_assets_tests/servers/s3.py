"""A real S3 server, and a proxy in front of it that fails as networks and servers do."""

import contextlib
import http.client
import importlib.util
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from tools import s3_server

BUCKET = "podcasts"
SLOW_SECONDS = 0.2


def need_server() -> None:
    """Skip the test where the server or a client for it is not installed."""
    for package, extra in (("swift", "s3-server"), ("obstore", "s3"), ("boto3", "s3")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'podcast-assets[{extra}]'")


@contextlib.contextmanager
def server() -> Iterator[dict[str, str]]:
    """Run a server while the block runs; yields the environment variables by which clients find it."""
    need_server()
    with s3_server.running(bucket=BUCKET) as environment:
        yield environment


@dataclass(frozen=True)
class Request:
    """A request of a client."""

    method: str
    path: str


Fault = Callable[["_Handler", bytes], None]
"""Called with the handler and the request's body instead of passing the request on."""


@dataclass
class Proxy:
    """Passes requests on to a server, except those that `fault` picks."""

    upstream: str
    port: int = 0
    fault: Callable[[Request], Fault | None] = field(default=lambda _: None)
    """Returns the fault of a request; None passes it on."""
    seen: list[Request] = field(default_factory=list)
    spoiled: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spoil_some(self, *faults: Fault, every: int, seed: int = 0) -> None:
        """Spoil one of `every` requests, drawn with a seed, by the faults in turn."""
        draw, lock = random.Random(seed), threading.Lock()

        def pick(_: Request) -> Fault | None:
            with lock:
                return faults[self.spoiled % len(faults)] if draw.randrange(every) == 0 else None

        self.fault = pick


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the tests are about clients that disconnect


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def proxy(self) -> Proxy:
        return cast("_Server", self.server).proxy

    def log_message(self, *args: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        proxy, request = self.proxy, Request(self.command, self.path)
        proxy.seen.append(request)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = proxy.fault(request)
        if fault is None:
            self.reply(*self.forward(body))
        else:
            proxy.spoiled += 1
            fault(self, body)

    def forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Pass the request on; returns the answer. The client signed the proxy's host name, so that is passed on too."""
        there = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("connection", "transfer-encoding")]
            return answer.status, headers, answer.read()
        finally:
            connection.close()

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


# -- faults ------------------------------------------------------------------------------------------------------------


def answer(status: int, code: str, more: str = "") -> Fault:
    """Answer with an error, and do nothing."""

    def fault(handler: _Handler, body: bytes) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>spoiled</Message>{more}</Error>".encode()
        handler.reply(status, [("Content-Type", "application/xml")], text)

    return fault


def cut_before(handler: _Handler, body: bytes) -> None:
    """Close the connection before the server gets the request."""
    handler.close_connection = True


def lose_answer(handler: _Handler, body: bytes) -> None:
    """Let the server carry the request out, and close the connection without an answer."""
    handler.forward(body)
    handler.close_connection = True


def cut_answer(handler: _Handler, body: bytes) -> None:
    """Close the connection in the middle of the answer."""
    status, headers, content = handler.forward(body)
    whole = [(n, v) for n, v in headers if n.lower() != "content-length"] + [("Content-Length", str(len(content)))]
    handler.reply(status, whole if content else headers, content[: len(content) // 2])
    handler.close_connection = True


def slow(handler: _Handler, body: bytes) -> None:
    """Send the answer late, in two halves."""
    time.sleep(SLOW_SECONDS)
    status, headers, content = handler.forward(body)
    handler.reply(status, headers, content[: len(content) // 2])
    handler.wfile.flush()
    time.sleep(SLOW_SECONDS)
    if handler.command != "HEAD":
        handler.wfile.write(content[len(content) // 2 :])


def spoil_request(handler: _Handler, body: bytes) -> None:
    """Change a bit of the body on the way to the server."""
    bad = bytes([body[0] ^ 1]) + body[1:] if body else body
    handler.reply(*handler.forward(bad))


def other_tag(handler: _Handler, body: bytes) -> None:
    """Answer with an entity tag that is not the MD5 of the content, as servers that encrypt do."""
    status, headers, content = handler.forward(body)
    other = '"0123456789abcdef0123456789abcdef"'
    kept = [(n, other if n.lower() == "etag" else v) for n, v in headers if n.lower() != "content-length"]
    if handler.command == "HEAD":
        kept = headers
    handler.reply(status, kept, re.sub(rb"<ETag>[^<]*</ETag>", f"<ETag>{other}</ETag>".encode(), content))


def other_content(handler: _Handler, body: bytes) -> None:
    """Change a bit of the answer."""
    status, headers, content = handler.forward(body)
    handler.reply(status, headers, bytes([content[0] ^ 1]) + content[1:] if content else content)


TRANSIENT_FAULTS: dict[str, Fault] = {
    "500": answer(500, "InternalError"),
    "503": answer(503, "SlowDown"),
    "slow": slow,
    "cut before": cut_before,
    "cut in the middle": cut_answer,
    "answer lost": lose_answer,
}
"""Faults after which the same request succeeds."""


@contextlib.contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy in front of a server; it passes everything on until `fault` is set."""
    with _Server(("127.0.0.1", 0), _Handler) as listening:
        listening.proxy = Proxy(upstream, listening.server_address[1])
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield listening.proxy
        finally:
            listening.shutdown()
            thread.join()
