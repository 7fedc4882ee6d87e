"""Wait for other processes, and give up after a time that no healthy machine needs."""

import contextlib
import random
import socket
import time
import urllib.request
from collections.abc import Callable


def wait_for(what: str, condition: Callable[[], object], *, patience: float, every: float = 0.5) -> None:
    """Wait until a condition holds.

    Args:
        what: name of the condition, for the error.
        condition: called until its result is true.
        patience: seconds after which it is given up.
        every: seconds between two calls.

    Raises:
        TimeoutError: the condition does not hold within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(every)


def free_port() -> int:
    """Return a port of the loopback interface that nobody uses.

    It lies below the ports that Linux gives to outgoing connections, any of which may take it before the server listens.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


def webserver_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False
