"""A machine's stay in a Ray cluster: Ray's processes are started, watched, started again where they end, and ended at last."""

import contextlib
import logging
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence

import psutil

from podcast_assets.stages.compute.node_watch import NodeWatch, Patience

CHECK_SECONDS = 60.0
RESTART_SECONDS = 15.0
"""Pause before Ray is started again after it ended by itself, as it does where its head is lost."""
START_SECONDS = 120.0
"""Time that Ray has to start, which is no time without work."""
STOP_SECONDS = 60.0
"""Time that Ray has to end; then it is killed."""
_CONNECT_SECONDS = 3.0
_WITHOUT_WORK = ("ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::SpillWorker", "ray::RestoreWorker")
"""Titles of Ray's own processes, and of workers that wait for work."""

log = logging.getLogger(__name__)


class NodeAgent:
    """Keeps Ray's processes running on this machine until there is a reason to leave.

    Args:
        command: starts Ray's processes and stays with them: `ray start … --block`.
        head: host and port of the head.
        patience: when to leave.
        check_seconds: time between two checks.
    """

    def __init__(
        self, command: Sequence[str], head: tuple[str, int], patience: Patience, check_seconds: float = CHECK_SECONDS
    ) -> None:
        self._command, self._head, self._patience, self._check_seconds = command, head, patience, check_seconds
        self._told_to_leave = threading.Event()

    def leave(self) -> None:
        """Have `stay` return soon. May be called by a signal handler."""
        self._told_to_leave.set()

    def stay(self) -> str:
        """Take part in the cluster until there is a reason to leave; return the reason.

        SIGTERM and SIGINT are reasons. Call it in the main thread.
        """
        before = {s: signal.signal(s, lambda *_: self.leave()) for s in (signal.SIGTERM, signal.SIGINT)}
        try:
            return self._stay()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stay(self) -> str:
        watch = NodeWatch(self._patience, time.monotonic())
        ray, started = self._start(), time.monotonic()
        try:
            while True:
                pause = self._check_seconds
                if ray.poll() is not None:
                    log.warning("Ray ended (exit code %s); it is started again", ray.returncode)
                    pause = min(RESTART_SECONDS, pause)
                if self._told_to_leave.wait(pause):
                    return "it was told to"
                if ray.poll() is not None:
                    ray, started = self._start(), time.monotonic()
                now, titles = time.monotonic(), process_titles(ray.pid)
                starting = not has_joined(titles) and now - started < START_SECONDS
                if reason := watch.check(now, reachable=_answers(self._head), busy=starting or has_work(titles)):
                    return reason
        finally:
            _end(ray)

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command)  # noqa: S603  # Ray's own command


def process_titles(pid: int) -> list[str]:
    """Return the first words of the command lines of a process' descendants; a worker of Ray that starts is `ray::starting`."""
    titles = []
    try:
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):  # it ended, or belongs to somebody else
                words = process.cmdline()
                starting = any(word.endswith("/default_worker.py") for word in words)
                titles.append("ray::starting" if starting else words[0] if words else "")
    except psutil.NoSuchProcess:
        return []
    return titles


def has_joined(titles: Sequence[str]) -> bool:
    """Return whether Ray's service of a machine is among the processes."""
    return any(title.endswith("/raylet") for title in titles)


def has_work(titles: Sequence[str]) -> bool:
    """Return whether a worker of Ray is among the processes, other than those that wait for work.

    Ray titles its workers `ray::` and the actor or task that they have.
    """
    return any(title.startswith("ray::") and not title.startswith(_WITHOUT_WORK) for title in titles)


def _answers(head: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(head, timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _end(ray: "subprocess.Popen[bytes]") -> None:
    """End Ray's processes: it ends its workers itself."""
    if ray.poll() is not None:
        return
    below = psutil.Process(ray.pid).children(recursive=True)
    ray.terminate()
    try:
        ray.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        ray.kill()
        ray.wait()
    _, alive = psutil.wait_procs(below, timeout=5)
    for process in alive:
        process.kill()
