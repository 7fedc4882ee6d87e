"""Calls of functions of this package in a subprocess with limits of time and memory: what strangers wrote is read there.

Arguments and results go through JSON, which pydantic makes and checks by the function's annotations.
"""

import functools
import importlib
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter

from podcast_assets.common.cores import available_cores
from podcast_assets.common.errors import BadInput
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.common.worker_process import (
    ProcessCrashed,
    ProcessEnded,
    ProcessLost,
    ProcessOutOfMemory,
    ProcessStuck,
    WorkerProcesses,
)

LONGEST_RESULT = 1 << 30
"""Maximum size of a result in bytes of JSON."""
log = logging.getLogger(__name__)

_PACKAGE = __name__.partition(".")[0]
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Unreadable(BadInput):
    """The input crashed, filled or kept busy what read it."""


@dataclass(frozen=True)
class Limit:
    """What a call reads, and how long it may take."""

    what: str
    """What is read, for messages."""
    seconds: float
    """Time without a result or a message of progress after which the process is killed."""
    progress: Callable[[Any], None] = lambda at: None
    """Called with each message of progress."""

    def pass_on(self, at: Any) -> None:
        """Pass a message on; that the call begins is none."""
        if at is not None:
            self.progress(at)


class LimitedCalls:
    """Processes for calls within limits, as many as there are cores at once. Thread-safe: others wait."""

    def __init__(self, memory: int) -> None:
        """Set up no process yet.

        Args:
            memory: limit of a process's address space in bytes.
        """
        self.processes = WorkerProcesses(f"{_PACKAGE}.common.limited_call_worker", str(memory), quiet=True)
        self._memory = memory
        self._free = threading.Semaphore(available_cores())

    def call(self, limit: Limit, function: Callable[_P, _R], *arguments: _P.args, **named: _P.kwargs) -> _R:
        """Return what a function returns, computed in a subprocess.

        Args:
            limit: what is read, and how long it may take.
            function: function of a module of this package, whose arguments JSON supports, or bytes or paths, and whose result
                pydantic can build from JSON by its annotation. An argument `progress` of it sends messages to this process.
            arguments: its arguments.
            named: its arguments by name.

        Raises:
            Unreadable: it took too long, crashed, needed too much memory, or failed in a way that nobody foresaw, which is logged.
            BadInput: as the function.
            OSError: as the function.
            ProcessLost: the process was killed from outside.
        """
        what = limit.what
        with self._free, ExitStack() as files:
            request = {
                "module": function.__module__,
                "function": function.__qualname__,
                "arguments": [_to_json(a, files) for a in arguments],
                "named": {name: _to_json(a, files) for name, a in named.items()},
            }
            try:
                reply = self.processes.ask(request, limit.seconds, longest_reply=LONGEST_RESULT, progress=limit.pass_on)
            except ProcessStuck as error:
                raise Unreadable(f"{what} cannot be read: it takes more than {limit.seconds:.0f} s") from error
            except ProcessCrashed as error:
                reason = f"it crashes its reader ({error}), so it is damaged or malicious"
                raise Unreadable(f"{what} cannot be read: {reason}") from error
            except ProcessOutOfMemory as error:
                reason = f"it needs more than {self._memory / (1 << 30):.3g} GiB of memory"
                raise Unreadable(f"{what} cannot be read: {reason}") from error
            except ProcessLost as error:
                message = f"the process that reads {what} was killed ({error}), perhaps because memory ran out"
                raise ProcessLost(message) from error
            except ProcessEnded as error:
                raise Unreadable(f"{what} cannot be read: {error}") from error
        if "error" in reply:
            raise _rebuild_error(reply, what, self._memory)
        result: _R = result_type(function).validate_python(reply["done"])
        return result


@functools.cache
def result_type(function: Callable[..., Any]) -> "TypeAdapter[Any]":
    """The type of a function's result, by its annotation."""
    return TypeAdapter(get_type_hints(function)["return"])


def _to_json(argument: Any, files: ExitStack) -> Any:
    """An argument as JSON; bytes become a temporary file."""
    if isinstance(argument, bytes):
        return {"bytes": str(files.enter_context(_written(argument)))}
    return {"path": str(argument)} if isinstance(argument, Path) else {"value": argument}


@contextmanager
def _written(data: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(prefix=SCRATCH_PREFIX) as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


def _rebuild_error(reply: dict[str, Any], what: str, memory: int) -> Exception:
    """Rebuild the exception that was raised in the subprocess."""
    if reply["error"] == MemoryError.__name__:
        return Unreadable(f"{what} cannot be read: it needs more than {memory / (1 << 30):.3g} GiB of memory")
    module, _, name = reply["error"].rpartition(".")
    if module.startswith(f"{_PACKAGE}."):
        kind = getattr(importlib.import_module(module), name, None)
        if isinstance(kind, type) and issubclass(kind, BadInput):
            return kind(reply["message"])
    if reply["errno"] is not None:
        return OSError(reply["errno"], reply["message"])
    # a library failed on it in a way that nobody foresaw, which must not take anything else down
    log.error("%s cannot be read\n%s", what, reply["traceback"])
    return Unreadable(f"{what} cannot be read: {name}: {(reply['message'].splitlines() or [''])[0][:500]}")
