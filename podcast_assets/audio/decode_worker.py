"""Worker process that decodes recordings; `decode_process` starts it.

Requests (see `worker_loop`):
  {"source": "file", "target": "file for the working audio", "tracks": [number, …], "opus": "file" or null, "bit_rate": bit/s,
   "longest": seconds}
→ {"progress": null} every second, and finally {"done": fields of `WorkingAudio`}.
Or, to examine the headers only:
  {"probe": "file"} → {"done": {"best": number of the best audio track, "tracks": fields of each `Track`}}.
"""

import io
import time
from dataclasses import asdict
from typing import Any, BinaryIO, cast

from podcast_assets.audio.ingest import OpusCopy, make_working_audio
from podcast_assets.audio.reader import open_audio
from podcast_assets.common.worker_loop import Progress, serve
from podcast_assets.store.backends.pending_file import PendingFile

MEMORY = 4 << 30
"""Limit of the address space in bytes. Valid recordings of any length take a tenth; damaged headers may request any amount."""
_PROGRESS_SECONDS = 1.0


def handle_request(request: dict[str, Any], send: Progress) -> dict[str, Any]:
    """Decode one recording, or examine it."""
    if "probe" in request:
        with open_audio(request["probe"]) as reader:
            return {"best": reader.track, "tracks": [asdict(track) for track in reader.tracks]}
    reported_at = time.monotonic()

    def progress() -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= _PROGRESS_SECONDS:
            reported_at = time.monotonic()
            send(None)

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
    return asdict(working)


if __name__ == "__main__":
    limit = f"needs more than {MEMORY >> 30} GiB of memory to be decoded: the file is damaged"
    serve(handle_request, MEMORY, {"error": "CorruptAudio", "message": limit})
