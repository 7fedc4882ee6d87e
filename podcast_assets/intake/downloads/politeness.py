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
    """Scheduler of connections per host. Threads that wait for one host keep nobody from another."""

    def __init__(self, *, overall: int, per_host: int, delay: float) -> None:
        """See the class.

        Args:
            overall: connections at once.
            per_host: connections at once to one host.
            delay: seconds between the starts of two connections to one host.
        """
        self._overall, self._per_host, self._delay = overall, per_host, delay
        self._turns = threading.Condition()
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._active = 0
        self.stopped = False
        """Whether nobody wants an answer any more."""

    @contextmanager
    def visit(self, host: str) -> Iterator[None]:
        """Wait for a turn, and have it while the block runs. Nobody who has one may ask for another: that could wait for ever.

        Raises:
            Stopped: there are no turns any more.
        """
        with self._turns:
            mine = self._hosts[host]
            while True:
                if self.stopped:
                    raise Stopped
                early = mine.not_before - time.monotonic()
                if early <= 0 and mine.active < self._per_host and self._active < self._overall:
                    break
                self._turns.wait(early if early > 0 else None)
            mine.active += 1
            self._active += 1
            mine.not_before = time.monotonic() + self._delay
        try:
            yield
        finally:
            with self._turns:
                mine.active -= 1
                self._active -= 1
                self._turns.notify_all()

    def pause(self, host: str, seconds: float) -> None:
        """Start nothing at a host for a time: it has asked for that."""
        with self._turns:
            mine = self._hosts[host]
            mine.not_before = max(mine.not_before, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Wait, unless nobody wants an answer any more."""
        with self._turns:
            self._turns.wait_for(lambda: self.stopped, seconds)

    def stop(self) -> None:
        """Stop all waiting and reading requests."""
        with self._turns:
            self.stopped = True
            self._turns.notify_all()
