"""Worker process that decodes recordings; `decode_process` starts it.

It reads one JSON object per line from its standard input and writes JSON lines to its standard output. A request:
  {"source": "file", "target": "file for the working audio", "tracks": [number, …], "opus": "file" or null, "bit_rate": bit/s,
   "longest": seconds}
→ {"progress": true} every second, and finally
  {"done": fields of `WorkingAudio`} or {"error": name of a class, "message": …, "errno": number or null, "traceback": …}.
Or, to examine the headers only:
  {"probe": "file"} → {"done": {"best": number of the best audio track, "tracks": fields of each `Track`}}, or an error as above.
It ends when its input is closed, and after a minute without requests.
"""

import contextlib
import io
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any, BinaryIO, TextIO, cast

from podcast_assets.audio.ingest import OpusCopy, make_working_audio
from podcast_assets.audio.reader import open_audio
from podcast_assets.store.backends.pending_file import PendingFile

MEMORY = 4 << 30
"""Limit of the address space in bytes. Valid recordings of any length take a tenth; damaged headers may request any amount."""
IDLE_SECONDS = 60.0
_PROGRESS_SECONDS = 1.0


def handle_request(request: dict[str, Any], replies: TextIO) -> dict[str, Any]:
    """Decode one recording, or examine it."""
    if "probe" in request:
        with open_audio(request["probe"]) as reader:
            return {"done": {"best": reader.track, "tracks": [asdict(track) for track in reader.tracks]}}
    reported_at = time.monotonic()

    def progress() -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= _PROGRESS_SECONDS:
            reported_at = time.monotonic()
            print('{"progress": true}', file=replies, flush=True)

    opus = OpusCopy(request["opus"], request["bit_rate"]) if request["opus"] else None
    with PendingFile(io.FileIO(request["target"], "w+")) as target:
        file = cast("BinaryIO", target)
        working = make_working_audio(
            request["source"],
            file,
            tracks=request["tracks"],
            opus=opus,
            longest=request["longest"],
            progress=progress,
        )
        target.settle()
    return {"done": asdict(working)}


def main() -> None:
    """Answer requests until there are none."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl+C
    with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0] and (line := sys.stdin.readline()):
        try:
            reply = handle_request(json.loads(line), replies)
        except MemoryError:
            limit = f"needs more than {MEMORY >> 30} GiB of memory to be decoded: the file is damaged"
            reply = {"error": "CorruptAudio", "message": limit, "errno": None, "traceback": ""}
        except Exception as error:
            reply = {
                "error": type(error).__name__,
                "message": str(error),
                "errno": getattr(error, "errno", None),
                "traceback": traceback.format_exc(),
            }
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
