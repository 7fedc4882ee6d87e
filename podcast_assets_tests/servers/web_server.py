"""A real HTTP server on the loopback interface that misbehaves as a test asks it to."""

import re
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

UNKNOWN = -1


@dataclass
class Resource:
    """What the server answers for a path. Lists are used up, one entry per request; after that it answers normally."""

    data: bytes = b""
    content_type: str | None = "audio/mpeg"
    etag: str | None = '"one"'
    last_modified: str | None = None
    ranges: bool = True
    chunked: bool = False
    length: int | None = None
    """Value of Content-Length; None for the true one, UNKNOWN for no header: the content ends with the connection."""
    most: int | None = None
    """Largest range that it sends, in bytes."""
    cuts: list[int] = field(default_factory=list)
    """Bytes of the body after which the connection is cut."""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses with headers, instead of the data."""
    location: str | None = None
    """Redirect there."""
    trickle: bool = False
    """Send a byte every tenth of a second, for ever."""
    hold: threading.Event | None = None
    """Wait for this event after half of the data."""
    after: str | None = None
    """Answer only once this path was requested."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent beside the others, with the data."""


@dataclass
class Request:
    """A request that was received."""

    path: str
    headers: dict[str, str]


@dataclass
class WebServer:
    """The server, its resources by path, and the requests so far."""

    port: int
    scheme: str = "http"
    resources: dict[str, Resource] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    """Largest number of requests that were open at the same time."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the server ends."""
    host: str = "127.0.0.1"

    def url(self, path: str, host: str | None = None) -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}{path}"

    def put(self, path: str, resource: Resource) -> str:
        """Serve a resource under a path; returns its URL."""
        self.resources[path] = resource
        return self.url(path)

    @property
    def asked(self) -> Counter[str]:
        """Number of requests by path."""
        return Counter(r.path for r in self.requests)


@contextmanager
def web_server(certificate: trustme.LeafCert | None = None, host: str = "127.0.0.1") -> Iterator[WebServer]:
    """Run a server on a free port, by HTTPS where there is a certificate."""
    lock = threading.Lock()
    active = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal active
            with lock:
                active += 1
                found.most_at_once = max(found.most_at_once, active)
                found.requests.append(Request(self.path, {k.title(): v for k, v in self.headers.items()}))
            try:
                self._answer()
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                self.close_connection = True
                with lock:
                    active -= 1

        def _answer(self) -> None:
            resource = found.resources.get(self.path.partition("?")[0])
            while resource and resource.after and not found.asked[resource.after] and not found.over.wait(0.01):
                pass
            if resource is None:
                self._status(404, {})
            elif resource.answers:
                self._status(*resource.answers.pop(0))
            elif resource.location is not None:
                self._status(302, {"Location": resource.location})
            elif resource.etag and self.headers.get("If-None-Match") == resource.etag:
                self._status(304, {})
            else:
                self._body(resource)

        def _status(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _body(self, resource: Resource) -> None:
            data, start = resource.data, 0
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range") in (None, resource.etag, resource.last_modified)
            if asked and resource.ranges and same:
                start = int(asked[1])
                if start >= len(data):
                    self._status(416, {"Content-Range": f"bytes */{len(data)}"})
                    return
                self.send_response(206)
                data = data[: start + resource.most] if resource.most else data
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(resource.data)}")
            else:
                self.send_response(200)
            for name, value in {
                "Content-Type": resource.content_type,
                "ETag": resource.etag,
                "Last-Modified": resource.last_modified,
                **resource.headers,
            }.items():
                if value is not None:
                    self.send_header(name, value)
            body = data[start:]
            if resource.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"".join(b"%x\r\n%s\r\n" % (len(b), b) for b in _blocks(body)) + b"0\r\n\r\n"
            elif resource.length != UNKNOWN:
                self.send_header("Content-Length", str(len(body) if resource.length is None else resource.length))
            self.end_headers()
            if resource.trickle:
                while not found.over.wait(0.1):
                    self.wfile.write(b"\0")
            elif resource.hold is not None:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                resource.hold.wait()
                self.wfile.write(body[len(body) // 2 :])
            else:
                self.wfile.write(body[: resource.cuts.pop(0)] if resource.cuts else body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the tests are about failed handshakes and closed connections

    server = Server((host, 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    found = WebServer(server.server_address[1], scheme, host=host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _blocks(data: bytes) -> list[bytes]:
    return [data[i : i + 1000] for i in range(0, len(data), 1000)]


def authority(folder: Path, *names: str) -> tuple[trustme.LeafCert, Path]:
    """Make a certificate for host names; returns it and the file of its authority's certificate."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    return ca.issue_cert(*names), folder / "ca.pem"
