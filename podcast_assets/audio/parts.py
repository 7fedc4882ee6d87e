"""The parts of a file: what its header leaves out, and files that were joined byte for byte.

libavformat reads as far as a header says, and at most one header. Here each part becomes a file of its own whose header is right.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from podcast_assets.audio.riff import Chunked, read_aiff, read_caf, read_w64, read_wav
from podcast_assets.audio.tags import find_tags, is_mpeg_audio
from podcast_assets.audio.view import ByteView

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_ASF_HEADER = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_MOST_PARTS = 10_000
_Reader = Callable[[BinaryIO, int], Chunked | None]
_BLOCK = 1 << 20
_BOX = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One complete media file within a file."""

    file: BinaryIO
    options: dict[str, str] = field(default_factory=dict)
    """Options of the demuxer."""
    wrong_size: bool = False
    """Whether the header gives a wrong size of the audio."""
    missing_share: float = 0.0
    """Share of the audio's bytes that the header declares and the file lacks, 0 to 1."""
    measured: bool = False
    """Whether `missing_share` was determined."""


def find_parts(file: BinaryIO) -> list[Part]:
    """Return the parts of a media file, at least one, in order."""
    file.seek(0)
    head = file.read(16)
    if head[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and head[8:12] == b"WAVE":
        parts = list(_chunked_parts(file, read_wav))
    elif head[:4] == b"FORM":
        parts = list(_chunked_parts(file, read_aiff))
    elif head[:4] == b"riff":
        parts = list(_chunked_parts(file, read_w64))
    elif head[:4] == b"caff":
        parts = list(_chunked_parts(file, read_caf))
    else:
        parts = _split(file, _boundaries(file, head))
    file.seek(0)
    return parts or [Part(file)]


def _boundaries(file: BinaryIO, head: bytes) -> list[int]:
    if head[4:8] == b"ftyp":
        return list(_mp4_starts(file))
    if head[:4] == _EBML:
        return list(_matroska_starts(file))
    if head == _ASF_HEADER:
        return list(_asf_starts(file))
    if head[:4] == b"RIFF":
        return list(_avi_starts(file))
    return []


def _split(file: BinaryIO, starts: list[int]) -> list[Part]:
    total = file.seek(0, 2)
    if len(starts) > 1:
        return [Part(_view(file, start, stop)) for start, stop in zip(starts, [*starts[1:], total], strict=True)]
    if not starts and is_mpeg_audio(file) and (tags := find_tags(file)):
        stops, begins = [start for start, _ in tags], [stop for _, stop in tags]
        ranges = list(zip([0, *begins], [*stops, total], strict=True))
        view = ByteView(file, ranges)
        return [Part(cast("BinaryIO", view))] if view.size else []
    return []


def _view(file: BinaryIO, start: int, stop: int, patches: dict[int, bytes] | None = None) -> BinaryIO:
    return cast("BinaryIO", ByteView(file, [(start, stop)], patches))


def _chunked_parts(file: BinaryIO, read: _Reader) -> Iterator[Part]:
    start, total = 0, file.seek(0, 2)
    while start < total and (found := read(file, start)) is not None:
        whole = start == 0 and found.end == total
        if found.trusted:
            declared = found.declared_size or 0
            missing = max(0, declared - (found.data_end - found.data_start))
            share = missing / declared if declared else 0.0
            yield Part(file if whole else _view(file, start, found.end), missing_share=share, measured=True)
        else:
            patches, options = _right_size(read, found)
            view = _view(file, start, found.data_end, patches)
            wrong = found.declared_size is not None or found.end != total
            yield Part(view, options, wrong_size=wrong, measured=True)
        if found.end <= start:
            return
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


def _mp4_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where files with an index begin: at an `ftyp` box after which a `moov` box comes (ISO/IEC 14496-12)."""
    start, has_index = 0, False
    for at, _, name in mp4_boxes(file):
        if name == b"ftyp":
            if has_index:
                yield start
                start, has_index = at, False
        elif name == b"moov":
            has_index = True
    if has_index:
        yield start


def mp4_boxes(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, name) of each box at the top level of an MP4 file. An end may lie beyond that of the file."""
    total, at = file.seek(0, 2), 0
    while at + _BOX <= total:
        file.seek(at)
        head = file.read(16)
        size, name, least = int.from_bytes(head[:4], "big"), head[4:8], _BOX
        if size == 1:
            size, least = int.from_bytes(head[8:], "big"), 16
        elif size == 0:
            size = total - at
        if size < least:
            return
        yield at, at + size, name
        at += size


def matroska_end(file: BinaryIO, start: int = 0) -> int | None:
    """Return the end of the Matroska file that begins at `start` by its Segment's size; None if that is unknown (RFC 8794)."""
    file.seek(start)
    head = file.read(4096)
    if (at := head.find(_SEGMENT)) < 0 or len(head) < at + 12:
        return None
    first = head[at + 4]
    length = 9 - first.bit_length()
    if not 1 <= length <= 8:
        return None
    size = int.from_bytes(head[at + 4 : at + 4 + length], "big") & (1 << 7 * length) - 1
    return None if size == (1 << 7 * length) - 1 else start + at + 4 + length + size


def _matroska_starts(file: BinaryIO) -> Iterator[int]:
    total, start = file.seek(0, 2), 0
    for _ in range(_MOST_PARTS):
        yield start
        end = matroska_end(file, start)
        if end is None or end > total:
            following = _find_ebml(file, start + 4, total)
        else:
            following = end if end < total and _is_ebml(file, end) else None
        if following is None:
            return
        start = following


def _find_ebml(file: BinaryIO, start: int, total: int) -> int | None:
    at = start
    while at < total:
        file.seek(at)
        block = file.read(_BLOCK + 3)
        found = block.find(_EBML)
        while found >= 0:
            if _is_ebml(file, at + found):
                return at + found
            found = block.find(_EBML, found + 1)
        at += _BLOCK
    return None


def _is_ebml(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    head = file.read(96)
    return head[:4] == _EBML and (b"webm" in head or b"matroska" in head)


def _asf_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where ASF headers lie at the top level."""
    total, at = file.seek(0, 2), 0
    while at + 24 <= total:
        file.seek(at)
        head = file.read(24)
        size = int.from_bytes(head[16:], "little")
        if head[:16] == _ASF_HEADER:
            yield at
        if size < 24:
            return
        at += size


def _avi_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where AVI files begin; long ones have further RIFF chunks of the form AVIX."""
    total, at = file.seek(0, 2), 0
    while at + 12 <= total:
        file.seek(at)
        head = file.read(12)
        if head[:4] != b"RIFF":
            return
        if head[8:] == b"AVI ":
            yield at
        size = int.from_bytes(head[4:8], "little")
        at += 8 + size + size % 2
