"""TLS in front of a PostgreSQL that was built without it: answers a client's SSLRequest, and passes on what it decrypts."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator

from podcast_assets_tests.waiting import free_port

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@contextlib.contextmanager
def tls_proxy(server_port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Listen on a port of the loopback interface while the block runs; yields the port.

    Args:
        server_port: port of the server, on the same interface.
        context: the certificate to show.
    """
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        threading.Thread(target=_accept, args=(listener, server_port, context), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, server_port: int, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # closed
        threading.Thread(target=_serve, args=(client, server_port, context), daemon=True).start()


def _serve(client: socket.socket, server_port: int, context: ssl.SSLContext) -> None:
    with client, contextlib.suppress(OSError):
        if client.recv(8, socket.MSG_WAITALL) != _SSL_REQUEST:
            return  # without TLS it serves nobody
        client.sendall(b"S")
        upstream = socket.create_connection(("127.0.0.1", server_port))
        with upstream as server, context.wrap_socket(client, server_side=True) as secure:
            threading.Thread(target=_copy, args=(server, secure), daemon=True).start()
            _copy(secure, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
