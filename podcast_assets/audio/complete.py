"""Whether a file is whole: by its bytes, where its container says how many there should be, else by its duration."""

from dataclasses import dataclass
from typing import BinaryIO

from podcast_assets.audio.containers import matroska_end, mp4_boxes
from podcast_assets.audio.declared import mp3_declared_bytes, ogg_is_finished
from podcast_assets.audio.headers import Probe
from podcast_assets.audio.parts import Part
from podcast_assets.audio.source import restore_position

_TOLERANCE_SECONDS, _TOLERANCE_SHARE = 1.0, 0.02
_SHORT_SECONDS, _SHORT_MP3_SECONDS, _SHORT_SHARE = 0.2, 0.3, 0.1
"""Allowed shortfall of short files. An MP3 also declares its encoder's delay and padding: at 8 kHz more than 0.2 s."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """Result of `check_complete`."""

    truncated: str | None = None
    """What is missing; None if nothing is."""
    wrong_header: str | None = None
    """How the header is wrong about a whole file; None if it is not."""


def check_complete(part: Part, probe: Probe, seconds: float) -> Completeness:
    """Compare the audio that was decoded with what the header declares.

    Args:
        part: the file.
        probe: its headers.
        seconds: seconds from the first sample to the last.
    """
    if part.missing_share is not None:
        declared = seconds / (1 - part.missing_share) if part.missing_share < 1 else probe.declared_duration
        if declared is not None and _is_short(seconds, declared, probe.container):
            return Completeness(truncated=_describe(seconds, declared))
        return Completeness(wrong_header=_WRONG_SIZE if part.wrong_size else None)
    if probe.container == "ogg":
        with restore_position(part.file):
            finished = ogg_is_finished(part.file)
        mark = f"ends after {seconds:.1f} s without the end-of-stream mark of an Ogg file: the file is truncated"
        return Completeness(truncated=None if finished else mark)
    declared = probe.declared_duration
    if declared is None:
        return Completeness()
    if _is_short(seconds, declared, probe.container):
        with restore_position(part.file):
            whole = _has_all_bytes(part.file, probe.container)
        if not whole:
            return Completeness(truncated=_describe(seconds, declared))
    if abs(seconds - declared) > _allowed_shortfall(declared, probe.container):
        return Completeness(wrong_header=f"its header declares {declared:.1f} s of audio, but it has {seconds:.1f} s")
    return Completeness()


_WRONG_SIZE = "its header gives a wrong size of the audio; all that the file holds was read"


def _describe(seconds: float, declared: float) -> str:
    return f"ends after {seconds:.1f} s of the {declared:.1f} s that its header declares: the file is truncated"


def _is_short(seconds: float, declared: float, container: str) -> bool:
    return seconds < declared - _allowed_shortfall(declared, container)


def _allowed_shortfall(declared: float, container: str) -> float:
    """Return the seconds by which a complete file may be shorter than its header says."""
    long = max(_TOLERANCE_SECONDS, _TOLERANCE_SHARE * declared)
    least = _SHORT_MP3_SECONDS if container == "mp3" else _SHORT_SECONDS
    return max(least, min(long, _SHORT_SHARE * declared))


def _has_all_bytes(file: BinaryIO, container: str) -> bool:
    """Return whether a file has as many bytes as its container declares; False if it declares none."""
    names = container.split(",")
    total = file.seek(0, 2)
    if "mp3" in names:
        declared, start = mp3_declared_bytes(file)
        return declared is not None and total - start >= (1 - _TOLERANCE_SHARE) * declared
    if "matroska" in names:
        return matroska_end(file) == total
    if "mov" in names:
        boxes = list(mp4_boxes(file))
        return bool(boxes) and boxes[-1][1] == total and all(name != b"moof" for _, _, name in boxes)
    return False
