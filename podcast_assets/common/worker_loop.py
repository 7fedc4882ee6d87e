"""The other side of `worker_process`: a process that answers requests within limits.

It reads one JSON object per line from its standard input and writes JSON lines to its standard output:
{"progress": …} any number of times, and finally {"done": …} or
{"error": name of a class with its module, "message": …, "errno": number or null, "traceback": …}.
It ends when its input is closed, and after a minute without requests.
"""

import contextlib
import json
import os
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 60.0

Progress = Callable[[Any], None]
"""Sends a message of progress, which JSON supports."""


def serve(handle: Callable[[dict[str, Any], Progress], Any], memory: int, out_of_memory: dict[str, str]) -> None:
    """Answer requests until there are none.

    Args:
        handle: returns what a request asks for, which JSON supports.
        memory: limit of the address space in bytes. macOS has no such limit.
        out_of_memory: `error` and `message` of the reply where that does not suffice.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl+C
    for limit, value in (resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))

    def send(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=replies, flush=True)

    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0] and (line := sys.stdin.readline()):
        try:
            reply = {"done": handle(json.loads(line), lambda at: send({"progress": at}))}
            send(reply)
        except MemoryError:
            send({**out_of_memory, "errno": None, "traceback": ""})
        except Exception as error:
            send(
                {
                    "error": f"{type(error).__module__}.{type(error).__qualname__}",
                    "message": str(error),
                    "errno": getattr(error, "errno", None),
                    "traceback": traceback.format_exc(),
                }
            )
