"""A real HTTP server that receives webhooks, and answers with the statuses that a test sets."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from podcast_assets_tests.waiting import wait_for

HANG = 0
"""Instead of a status: read the request and never answer."""


@dataclass
class Received:
    """A webhook that was received."""

    body: bytes
    headers: dict[str, str]

    @property
    def content(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Receiver:
    """The server, and what it has received."""

    url: str
    statuses: list[int]
    """Of the next answers; 204 after them."""
    received: list[Received] = field(default_factory=list)


@contextmanager
def receiver(*statuses: int, location: str = "/elsewhere") -> Iterator[Receiver]:
    """Run a server that answers with these statuses first; `location` is where its redirects point."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append(Received(body, dict(self.headers.items())))
            status = found.statuses.pop(0) if found.statuses else 204
            if status == HANG:
                over.wait()
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook/token-in-the-path", list(statuses))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wait_for_requests(found: Receiver, count: int, patience: float) -> list[Received]:
    """Wait for so many requests; returns all that came.

    Raises:
        TimeoutError: fewer came within `patience` seconds.
    """
    wait_for(f"{count} requests", lambda: len(found.received) >= count, patience=patience, every=0.2)
    return found.received
