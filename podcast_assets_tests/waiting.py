"""Waiting for other processes, with an end to the patience."""

import socket
import time
import urllib.request
from collections.abc import Callable


def wait_for(what: str, condition: Callable[[], object], *, patience: float, every: float = 0.5) -> None:
    """Return once a condition holds; look every so many seconds, and give up after `patience`."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience} s for {what}")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def webserver_answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False
