"""Work on untrusted input in a subprocess with limits, so that input that crashes, hangs or fills a library fails alone.

The process runs a module that calls `worker_loop.serve`, which documents the protocol. It is reused for one request after the
other, so that a valid input costs only two more lines through a pipe.
"""

import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from podcast_assets.common.cores import available_cores

START_SECONDS = 30.0
"""Time in which the first message must come, in seconds: a process that starts on a busy machine has done nothing wrong yet."""
_END_SECONDS = 5.0
_BLOCK = 1 << 16
_PACKAGE = Path(__file__).parents[2]
_CODE_SIGNALS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS}
"""Signals by which broken code ends. Others come from outside, such as the kernel's SIGKILL when memory runs out."""
_THREADS = 4
_OUT_OF_MEMORY = b"memory allocation of"
"""How Rust's libraries say that memory ran out, before they abort."""

Reply = dict[str, Any]


class ProcessStuck(RuntimeError):
    """The process sent no message in time and was killed."""


class ProcessCrashed(RuntimeError):
    """The process crashed: the input is damaged or malicious. The message is the name of the signal."""


class ProcessOutOfMemory(RuntimeError):
    """The process needed more memory than it may take."""


class ProcessLost(RuntimeError):
    """The process was killed from outside. The message is the name of the signal."""


class ProcessEnded(RuntimeError):
    """The process ended by itself. The message says how."""


class WorkerProcesses:
    """Idle processes that run the same module; a new one starts when all are at work. Thread-safe."""

    def __init__(self, module: str, *arguments: str, quiet: bool = False) -> None:
        """Set up no process yet.

        Args:
            module: module that calls `worker_loop.serve`.
            arguments: arguments of its command line.
            quiet: whether what its libraries write to standard error is dropped.
        """
        self.idle: queue.LifoQueue[_WorkerProcess] = queue.LifoQueue()
        self._command, self._quiet = (module, *arguments), quiet

    def ask(
        self,
        request: Mapping[str, Any],
        stall: float,
        *,
        longest_reply: int = 1 << 30,
        progress: Callable[[Any], None] = lambda at: None,
    ) -> Reply:
        """Return the reply to a request: `{"done": …}` or `{"error": …}`.

        Args:
            request: the request, which JSON supports.
            stall: seconds without a message after which the process is killed; the first may take `START_SECONDS`.
            longest_reply: maximum size of a message in bytes; a process that sends more is killed.
            progress: called with what each message of progress says.

        Raises:
            ProcessStuck: no message came in time.
            ProcessCrashed: the process crashed.
            ProcessOutOfMemory: its memory did not suffice, or its reply is too long.
            ProcessLost: the process was killed.
            ProcessEnded: the process ended.
        """
        try:
            process = self.idle.get_nowait()
        except queue.Empty:
            process = _WorkerProcess(self._command, quiet=self._quiet)
        try:
            reply = process.ask(request, stall, longest_reply, progress)
        except BaseException:
            process.close()
            raise
        self.idle.put(process)
        return reply

    def close(self) -> None:
        """End the idle processes."""
        while not self.idle.empty():
            self.idle.get_nowait().close()


class _WorkerProcess:
    """Process; started by the first request, and again after it ended because it was idle."""

    def __init__(self, command: Sequence[str], *, quiet: bool) -> None:
        self._command, self._quiet = command, quiet
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._end: Any = None

    @property
    def pid(self) -> int | None:
        """Id of the process; None before the first request."""
        return self._process and self._process.pid

    def ask(
        self, request: Mapping[str, Any], stall: float, longest_reply: int, progress: Callable[[Any], None]
    ) -> Reply:
        """Return the reply; see `WorkerProcesses.ask`."""
        line = json.dumps(request).encode() + b"\n"
        process = self._ensure_running()
        try:
            _write_line(process, line)
        except BrokenPipeError:  # it ended just now because it was idle
            self.close()
            process = self._ensure_running()
            _write_line(process, line)
        assert process.stdout is not None
        rest, wait = bytearray(), max(stall, START_SECONDS)
        while message := _read_line(process.stdout, rest, wait, longest_reply):
            reply: Reply = json.loads(message)
            wait = stall
            if "progress" not in reply:
                return reply
            progress(reply["progress"])
        raise self._make_exit_error(process.wait())

    def close(self) -> None:
        """End the process, even in the middle of a request."""
        if self._process is not None:
            self._end()
            self._process = None

    def _ensure_running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            path = os.pathsep.join([str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._said = tempfile.TemporaryFile() if self._quiet else None  # noqa: SIM115  # closed with the process
            self._process = subprocess.Popen(  # noqa: S603  # a module of this package
                [sys.executable, "-m", *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                # thread pools of libraries would only use address space
                env=os.environ
                | {
                    "PYTHONPATH": path,
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                    "POLARS_MAX_THREADS": str(min(_THREADS, available_cores())),
                },
            )
            self._end = weakref.finalize(self, _end_process, self._process, self._said)
        return self._process

    def _make_exit_error(self, code: int) -> Exception:
        if code >= 0:
            return ProcessEnded(f"its process ended with exit code {code}")
        ended_by = signal.Signals(-code)
        if ended_by not in _CODE_SIGNALS:
            return ProcessLost(ended_by.name)
        if self._said is not None:
            self._said.seek(0)
            if _OUT_OF_MEMORY in self._said.read():
                return ProcessOutOfMemory()
        return ProcessCrashed(ended_by.name)


def _write_line(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _read_line(stream: IO[bytes], rest: bytearray, stall: float, longest: int) -> bytes:
    """Read the next line; empty at the end. What follows it stays in `rest`."""
    until, searched = time.monotonic() + stall, 0
    with selectors.DefaultSelector() as selector:  # select() supports no file descriptors above 1,023
        selector.register(stream, selectors.EVENT_READ)
        while (end := rest.find(b"\n", searched)) < 0:
            searched = len(rest)
            if not selector.select(max(0.0, until - time.monotonic())):
                raise ProcessStuck(f"no message came for {stall:g} s")
            part = os.read(stream.fileno(), _BLOCK)
            if not part:
                return b""
            rest += part
            if len(rest) > longest:
                raise ProcessOutOfMemory()
    line = bytes(rest[: end + 1])
    del rest[: end + 1]
    return line


def _end_process(process: subprocess.Popen[bytes], said: IO[bytes] | None) -> None:
    process.kill()
    process.wait(_END_SECONDS)
    for stream in (process.stdin, process.stdout, said):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:  # it died before it read the request
                continue
