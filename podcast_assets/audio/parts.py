"""The parts of a file: what its header leaves out, and files that were joined byte for byte.

libavformat reads as far as a header says, and at most one header. Here each part becomes a file of its own whose header is right.
"""

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from podcast_assets.audio import containers
from podcast_assets.audio.riff import Chunked, read_aiff, read_caf, read_w64, read_wav
from podcast_assets.audio.tags import find_tags, is_mpeg_audio
from podcast_assets.audio.view import ByteView

_MOST_PARTS = 10_000
_Reader = Callable[[BinaryIO, int], Chunked | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One complete media file within a file."""

    file: BinaryIO
    options: dict[str, str] = field(default_factory=dict)
    """Options of the demuxer."""
    wrong_size: bool = False
    """Whether the header gives a wrong size of the audio."""
    missing_share: float | None = None
    """Share of the bytes that the header declares and the file lacks, 0 to 1; None if it does not declare them."""
    has_tags_inside: bool = False
    """Whether tags were left out before or between the audio that libavformat does not leave out by itself."""


def find_parts(file: BinaryIO) -> list[Part]:
    """Return the parts of a media file, at least one, in order."""
    head = containers.read_at(file, 0, 16)
    if read := _chunk_reader(head):
        parts = list(itertools.islice(_chunked_parts(file, read), _MOST_PARTS))
    elif find_starts := _start_finder(head):
        parts = _split(file, list(itertools.islice(find_starts(file), _MOST_PARTS)))
    elif is_mpeg_audio(file) and (tags := find_tags(file)):
        stops, begins = [start for start, _ in tags], [stop for _, stop in tags]
        total = file.seek(0, 2)
        view = ByteView(file, list(zip([0, *begins], [*stops, total], strict=True)))
        inside = head[:3] == b"APE" or any(start > 0 and stop < total for start, stop in tags)
        parts = [Part(cast("BinaryIO", view), has_tags_inside=inside)] if view.size else []
    else:
        parts = []
    file.seek(0)
    return parts or [Part(file)]


def _chunk_reader(head: bytes) -> _Reader | None:
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
        return read_wav
    return {b"FORM": read_aiff, b"riff": read_w64, b"caff": read_caf}.get(head[:4])


def _start_finder(head: bytes) -> Callable[[BinaryIO], Iterator[int]] | None:
    if head[4:8] == b"ftyp":
        return containers.mp4_starts
    if head == containers.ASF_HEADER:
        return containers.asf_starts
    starts = {
        containers.EBML: containers.matroska_starts,
        containers.FLV: containers.flv_starts,
        b"RIFF": containers.avi_starts,
        b".snd": containers.au_starts,
    }
    return starts.get(head[:4])


def _split(file: BinaryIO, starts: list[int]) -> list[Part]:
    total = file.seek(0, 2)
    if len(starts) <= 1:
        return [Part(file, missing_share=_missing_share(file))]
    views = [_view(file, start, stop) for start, stop in zip(starts, [*starts[1:], total], strict=True)]
    return [Part(view, missing_share=_missing_share(view)) for view in views]


def _missing_share(file: BinaryIO) -> float | None:
    declared = containers.declared_size(file)
    return None if declared is None else max(0.0, 1 - file.seek(0, 2) / declared)


def _view(file: BinaryIO, start: int, stop: int, patches: dict[int, bytes] | None = None) -> BinaryIO:
    return cast("BinaryIO", ByteView(file, [(start, stop)], patches))


def _chunked_parts(file: BinaryIO, read: _Reader) -> Iterator[Part]:
    start, total = 0, file.seek(0, 2)
    while start < total and (found := read(file, start)) is not None:
        if found.trusted:
            declared = found.declared_size or 0
            missing = max(0, declared - (found.data_end - found.data_start))
            end = found.end if declared else found.data_end  # libavformat takes a size of 0 for an unknown one
            whole = start == 0 and end == total
            yield Part(
                file if whole else _view(file, start, end), missing_share=missing / declared if declared else 0.0
            )
        else:
            patches, options = _right_size(read, found)
            stated = read is not read_caf or found.declared_size is not None  # -1 means unknown there
            yield Part(_view(file, start, found.data_end, patches), options, wrong_size=stated, missing_share=0.0)
        start = found.end


def _right_size(read: _Reader, found: Chunked) -> tuple[dict[int, bytes], dict[str, str]]:
    """Return what makes libavformat read all audio of a file whose header gives a wrong size."""
    size = found.data_end - found.data_start
    if read is read_wav:
        return {}, {"ignore_length": "1"}
    if read is read_aiff:
        return {found.size_at: struct.pack(">I", min(size, 0xFFFF_FFFF))}, {}
    if read is read_w64:
        return {found.size_at: struct.pack("<Q", size + 24)}, {}
    return {found.size_at: struct.pack(">q", -1)}, {}  # CAF: the audio extends to the end of the file
