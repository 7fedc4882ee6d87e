"""Limits on concurrent connections and delays between them, per host and overall."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class _Host:
    active: int = 0
    not_before: float = 0.0


class Stopped(Exception):
    """The downloads were stopped."""


class HostTurns:
    """Scheduler of connections per host. Waiting for one host does not block another."""

    def __init__(self, *, overall: int, per_host: int, delay: float) -> None:
        """Create a scheduler without any connections.

        Args:
            overall: concurrent connections.
            per_host: concurrent connections to one host.
            delay: seconds between the starts of two connections to one host.
        """
        self._overall, self._per_host, self._delay = overall, per_host, delay
        self._turns = threading.Condition()
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._active = 0
        self.stopped = False
        """Whether the downloads were stopped."""

    @contextmanager
    def visit(self, host: str) -> Iterator[None]:
        """Wait for a connection slot and hold it while the block runs. Nested calls could deadlock.

        Raises:
            Stopped: the downloads were stopped.
        """
        with self._turns:
            state = self._hosts[host]
            while True:
                if self.stopped:
                    raise Stopped
                wait = state.not_before - time.monotonic()
                if wait <= 0 and state.active < self._per_host and self._active < self._overall:
                    break
                self._turns.wait(wait if wait > 0 else None)
            state.active += 1
            self._active += 1
            state.not_before = time.monotonic() + self._delay
        try:
            yield
        finally:
            with self._turns:
                state.active -= 1
                self._active -= 1
                self._turns.notify_all()

    def pause(self, host: str, seconds: float) -> None:
        """Start no connection to a host for some time, as it requested."""
        with self._turns:
            state = self._hosts[host]
            state.not_before = max(state.not_before, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep, or return early when the downloads are stopped."""
        with self._turns:
            self._turns.wait_for(lambda: self.stopped, seconds)

    def stop(self) -> None:
        """Stop all waiting and reading requests."""
        with self._turns:
            self.stopped = True
            self._turns.notify_all()
