"""Decoding in a subprocess, so that a file that crashes or hangs a codec fails alone.

The process runs `decode_worker.py`, which documents the protocol. It is reused for one recording after the other, so that a valid
file costs only two more lines through a pipe.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podcast_assets.audio import errors
from podcast_assets.audio.downmix import Downmix
from podcast_assets.audio.errors import AudioError, CorruptAudio
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.ingest import WorkingAudio
from podcast_assets.audio.opus_copy import OpusDiffers
from podcast_assets.audio.tracks import AudioTracks, Track
from podcast_assets.common.warned import FileWarning
from podcast_assets.common.worker_process import (
    ProcessCrashed,
    ProcessEnded,
    ProcessLost,
    ProcessOutOfMemory,
    ProcessStuck,
    WorkerProcesses,
)

STALL_SECONDS = 120.0
"""Time without a progress message before the process is killed; it sends one every second, however slow the machine is."""


class DecoderStuck(RuntimeError):
    """The decoder made no progress and was killed."""


class DecoderLost(RuntimeError):
    """The decoding process was killed from outside."""


class DecoderFailed(RuntimeError):
    """The decoding process failed; the message says why."""


_decoders = WorkerProcesses("podcast_assets.audio.decode_worker")


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
    """Return the result of a request."""
    try:
        reply = _decoders.ask(request, stall)
    except ProcessStuck as error:
        raise DecoderStuck(f"its decoder made no progress for {stall:g} s and was stopped") from error
    except ProcessCrashed as error:
        raise CorruptAudio(f"crashes its decoder ({error}): the file is damaged or malicious") from error
    except ProcessOutOfMemory as error:
        raise CorruptAudio("says more about itself than its decoder may return: the file is damaged") from error
    except ProcessLost as error:
        message = f"its decoding process was killed ({error}), perhaps because memory ran out"
        raise DecoderLost(message) from error
    except ProcessEnded as error:
        raise DecoderFailed(str(error)) from error
    if "error" in reply:
        raise _rebuild_error(reply)
    found: dict[str, Any] = reply["done"]
    return found


def _rebuild_error(reply: dict[str, Any]) -> Exception:
    """Rebuild the exception that was raised in the subprocess."""
    name, message = reply["error"].rpartition(".")[2], reply["message"]
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
