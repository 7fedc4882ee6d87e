"""Worker process that calls functions; `limited_calls` starts it, with its limit of memory in bytes as the argument."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from podcast_assets.common.limited_calls import result_type
from podcast_assets.common.worker_loop import Progress, serve

_READ = {"bytes": lambda path: Path(path).read_bytes(), "path": Path, "value": lambda value: value}


def handle_request(request: dict[str, Any], send: Progress) -> Any:
    """Call a function and return its result as JSON."""
    function = getattr(importlib.import_module(request["module"]), request["function"])
    send(None)  # its time begins when everything is imported
    named = {name: _argument(packed) for name, packed in request["named"].items()}
    if "progress" in inspect.signature(function).parameters:
        named["progress"] = send
    result = function(*map(_argument, request["arguments"]), **named)
    return result_type(function).dump_python(result, mode="json")


def _argument(packed: dict[str, Any]) -> Any:
    ((kind, value),) = packed.items()
    return _READ[kind](value)


if __name__ == "__main__":
    serve(handle_request, int(sys.argv[1]), {"error": "MemoryError", "message": ""})
