"""Audio by HTTP ranges, and the waveform of a part of it."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from podcast_assets.review.app.ranges import RangeNotSatisfiable, parse_range
from podcast_assets.review.app.sessions import Found, LoggedIn
from podcast_assets.review.audio import Audio, open_audio

router = APIRouter()

_BLOCK = 256 * 1024
PEAKS = 800
"""Columns of a waveform."""
LONGEST = 600.0
"""Seconds of a waveform: a window and what is before and after."""


@router.api_route("/audio", methods=["GET", "HEAD"])
def send_audio(
    request: Request, found: Found, session: LoggedIn, batch: str, episode: str, segment: str | None = None
) -> Response:
    """Send an episode's audio, or a part of its bytes."""
    audio = open_audio(found.engine, found.store, batch, episode, segment)
    headers = {"accept-ranges": "bytes", "etag": audio.etag, "x-audio-offset": f"{audio.offset:.3f}"}
    whole = request.headers.get("if-range", audio.etag) != audio.etag
    try:
        part = None if whole else parse_range(request.headers.get("range"), audio.size)
    except RangeNotSatisfiable:
        audio.close()
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{audio.size}"})
    start, end = part or (0, audio.size)
    headers["content-length"] = str(end - start)
    if part is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{audio.size}"
    status = 200 if part is None else 206
    if request.method == "HEAD":
        audio.close()
        return Response(status_code=status, headers=headers, media_type=audio.media_type)
    return StreamingResponse(_blocks(audio, start, end), status, headers, audio.media_type)


@router.get("/audio/peaks")
def send_peaks(
    found: Found,
    session: LoggedIn,
    batch: str,
    episode: str,
    start: float = Query(ge=0, allow_inf_nan=False),
    end: float = Query(ge=0, allow_inf_nan=False),
    segment: str | None = None,
) -> Response:
    """Send the waveform of a part of an episode: the lowest and highest samples of `PEAKS` columns, -1 to 1."""
    end = min(max(end, start), start + LONGEST)
    with contextlib.closing(open_audio(found.engine, found.store, batch, episode, segment)) as audio:
        low, high = _read_peaks(audio, start - audio.offset, end - audio.offset)
    return JSONResponse({"start": start, "end": end, "offset": audio.offset, "low": low, "high": high})


def _blocks(audio: Audio, start: int, end: int) -> Iterator[bytes]:
    with contextlib.closing(audio):
        for at in range(start, end, _BLOCK):
            yield audio.read(at, min(at + _BLOCK, end))


def _read_peaks(audio: Audio, start: float, end: float) -> tuple[list[float], list[float]]:
    import soundfile

    stream = io.BufferedReader(_AudioStream(audio), _BLOCK)
    with soundfile.SoundFile(stream) as file:
        first = min(max(0, round(start * file.samplerate)), file.frames)
        last = min(max(first, round(end * file.samplerate)), file.frames)
        file.seek(first)
        samples = file.read(last - first, dtype="float32", always_2d=True).mean(axis=1)
    # what lies before or after the file is silent
    wanted = max(1, round((end - start) * file.samplerate))
    before = max(0, -round(start * file.samplerate))
    padded = np.zeros(wanted, np.float32)
    padded[before : before + len(samples)] = samples[: max(0, wanted - before)]
    edges = np.linspace(0, wanted, min(PEAKS, wanted), endpoint=False).astype(int)
    low, high = np.minimum.reduceat(padded, edges), np.maximum.reduceat(padded, edges)
    return [round(float(v), 3) for v in low], [round(float(v), 3) for v in high]


class _AudioStream(io.RawIOBase):
    """Audio in the store as a stream that can be seeked."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._audio.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] - any buffer
        data = (
            self._audio.read(self._at, min(self._at + len(buffer), self._audio.size))
            if self._at < self._audio.size
            else b""
        )
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
