"""Decoding in a subprocess, so that a file that crashes or hangs a codec fails alone.

The process runs `decode_worker.py`, which documents the protocol. It is reused for one recording after the other, so that a valid
file costs only two more lines through a pipe.
"""

import json
import math
import os
import queue
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from podcast_assets.audio import errors
from podcast_assets.audio.downmix import Downmix
from podcast_assets.audio.errors import AudioError, CorruptAudio
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.ingest import WorkingAudio
from podcast_assets.audio.opus_copy import OpusDiffers
from podcast_assets.audio.tracks import AudioTracks, Track
from podcast_assets.common.warned import FileWarning

STALL_SECONDS = 120.0
"""Time without a progress message before the process is killed; it sends one every second, however slow the machine is."""
_END_SECONDS = 5.0
_PACKAGE = Path(__file__).parents[2]
_CODEC_SIGNALS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS}
"""Signals by which broken code ends. Others come from outside, such as the kernel's SIGKILL when memory runs out."""


class DecoderStuck(RuntimeError):
    """The decoder made no progress and was killed."""


class DecoderLost(RuntimeError):
    """The decoding process was killed from outside."""


class DecoderFailed(RuntimeError):
    """The decoding process failed; the message says why."""


_idle: "queue.LifoQueue[_DecoderProcess]" = queue.LifoQueue()


def make_working_audio_in_subprocess(
    source: Path,
    target: Path,
    *,
    tracks: Sequence[int] = (),
    opus: Path | None = None,
    bit_rate: int = 0,
    longest: float = math.inf,
    stall: float = STALL_SECONDS,
) -> WorkingAudio:
    """Run `make_working_audio` in a subprocess. Thread-safe: each thread uses its own process.

    Args:
        source: the media file.
        target: file for the working audio.
        tracks: audio tracks that are added up, counted from 1; empty for the best one.
        opus: file for a copy in Opus; None for no copy.
        bit_rate: bit rate of the copy in bit/s.
        longest: longest allowed duration in seconds.
        stall: seconds without progress after which the process is killed.

    Raises:
        AudioError: as `make_working_audio`; also CorruptAudio if the file crashes the decoder.
        DecoderStuck: the decoder made no progress.
        DecoderLost: the process was killed.
        OpusDiffers: the copy does not last as long as the audio.
        OSError: a path cannot be opened, or the disk is full.
    """
    request = {
        "source": str(source),
        "target": str(target),
        "tracks": list(tracks),
        "opus": opus and str(opus),
        "bit_rate": bit_rate,
        "longest": longest,
    }
    made = _ask(request, stall)
    warnings = tuple(FileWarning(**w) for w in made["warnings"])
    downmix = made["downmix"] and Downmix.from_row(made["downmix"])
    return WorkingAudio(**made | {"probe": Probe(**made["probe"]), "warnings": warnings, "downmix": downmix})


def probe_in_subprocess(source: Path, *, stall: float = STALL_SECONDS) -> AudioTracks:
    """Open a media file in a subprocess and return its audio tracks. Thread-safe.

    Args:
        source: the media file, or its beginning.
        stall: seconds after which the process is killed.

    Raises:
        AudioError: as `open_audio`; also CorruptAudio if the file crashes the process.
        DecoderStuck: the process made no progress.
        DecoderLost: the process was killed.
        OSError: the path cannot be opened.
    """
    found = _ask({"probe": str(source)}, stall)
    return AudioTracks(found["best"], tuple(Track(**track) for track in found["tracks"]))


def _ask(request: dict[str, Any], stall: float) -> dict[str, Any]:
    """Return the result of a request to an idle process, or to a new one."""
    try:
        process = _idle.get_nowait()
    except queue.Empty:
        process = _DecoderProcess()
    try:
        reply = process.ask(request, stall)
    except BaseException:
        process.close()
        raise
    _idle.put(process)
    if "error" in reply:
        raise _rebuild_error(reply)
    found: dict[str, Any] = reply["done"]
    return found


class _DecoderProcess:
    """Decoding process; started by the first request, and again after it ended because it was idle."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Any = None

    def ask(self, request: dict[str, Any], stall: float) -> dict[str, Any]:
        """Return the reply; raises as `make_working_audio_in_subprocess` if the process ends instead."""
        line = json.dumps(request).encode() + b"\n"
        process = self._ensure_running()
        try:
            _write_line(process, line)
        except BrokenPipeError:  # it ended just now because it was idle
            self.close()
            process = self._ensure_running()
            _write_line(process, line)
        assert process.stdout is not None
        while reply_line := _read_line(process.stdout, stall):
            reply = json.loads(reply_line)
            if "progress" not in reply:
                return reply
        raise _make_exit_error(process.wait())

    def close(self) -> None:
        """End the process, even in the middle of a request."""
        if self._process is not None:
            self._end()
            self._process = None

    def _ensure_running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            path = os.pathsep.join([str(_PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = subprocess.Popen(
                [sys.executable, "-m", "podcast_assets.audio.decode_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # each process decodes in one thread; NumPy's thread pools would only use address space
                env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
            self._end = weakref.finalize(self, _end_process, self._process)
        return self._process


def _write_line(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _read_line(stream: IO[bytes], stall: float) -> bytes:
    """Read the next line; empty at the end."""
    line, until = b"", time.monotonic() + stall
    with selectors.DefaultSelector() as selector:  # select() supports no file descriptors above 1,023
        selector.register(stream, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise DecoderStuck(f"its decoder made no progress for {stall:g} s and was stopped")
            part = os.read(stream.fileno(), 1 << 16)
            if not part:
                return b""
            line += part
    return line.rsplit(b"\n", 2)[-2]  # the last of several lines: the others are progress messages


def _make_exit_error(code: int) -> Exception:
    if code >= 0:
        return DecoderFailed(f"its decoding process ended with exit code {code}")
    ended_by = signal.Signals(-code)
    if ended_by in _CODEC_SIGNALS:
        return CorruptAudio(f"crashes its decoder ({ended_by.name}): the file is damaged or malicious")
    return DecoderLost(f"its decoding process was killed ({ended_by.name}), perhaps because memory ran out")


def _rebuild_error(reply: dict[str, Any]) -> Exception:
    """Rebuild the exception that was raised in the subprocess."""
    name, message = reply["error"], reply["message"]
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, AudioError):
        return kind(message)
    if name == OpusDiffers.__name__:
        return OpusDiffers(message)
    if reply["errno"] is not None:
        return OSError(reply["errno"], message)
    error = DecoderFailed(f"{name}: {message}")
    error.add_note(reply["traceback"])
    return error


def _end_process(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(_END_SECONDS)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:  # it died before it read the request
                continue
