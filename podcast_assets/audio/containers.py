"""Where the files begin that were joined byte for byte into one, and how many bytes each should have, by its container."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"
ASF_HEADER = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
FLV = b"FLV\x01"
_CLUSTER = b"\x1f\x43\xb6\x75"
_DURATION = re.compile(rb"\x44\x89(?:\x84|\x88|\x40\x04|\x40\x08|\x01\0{6}[\x04\x08])")
_SEGMENT = b"\x18\x53\x80\x67"
_ASF_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"
_FLV_HEADER = re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0[\x08\x09\x12]")
_FLV_SIZE = re.compile(rb"\0\x08filesize\0(.{8})", re.DOTALL)
_BLOCK = 1 << 20
_HEAD = 1 << 16
_BOX = 8


def mp4_boxes(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, name) of each box at the top level of an MP4 file. An end may lie beyond that of the file."""
    total, at = file.seek(0, 2), 0
    while at + _BOX <= total:
        head = read_at(file, at, 16)
        size, name, least = int.from_bytes(head[:4], "big"), head[4:8], _BOX
        if size == 1:
            size, least = int.from_bytes(head[8:], "big"), 16
        elif size == 0:
            size = total - at
        if size < least:
            return
        yield at, at + size, name
        at += size


def mp4_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where MP4 files begin: at each `ftyp` box that a `moov` box precedes (ISO/IEC 14496-12)."""
    has_index = True
    for at, _, name in mp4_boxes(file):
        if name == b"ftyp" and has_index:
            yield at
            has_index = False
        elif name == b"moov":
            has_index = True


def matroska_end(file: BinaryIO, start: int = 0) -> int | None:
    """Return the end of the Matroska file that begins at `start` by its Segment's size; None if that is unknown (RFC 8794)."""
    head = read_at(file, start, 4096)
    if (at := head.find(_SEGMENT)) < 0 or len(head) < at + 12:
        return None
    length = 9 - head[at + 4].bit_length()
    if not 1 <= length <= 8:
        return None
    size = int.from_bytes(head[at + 4 : at + 4 + length], "big") & (1 << 7 * length) - 1
    return None if size == (1 << 7 * length) - 1 else start + at + 4 + length + size


def matroska_has_duration(file: BinaryIO) -> bool:
    """Return whether a Matroska file declares its duration. libavformat estimates one from the bit rate otherwise."""
    head = read_at(file, 0, _HEAD)
    header = head.partition(_CLUSTER)[0]
    return bool(_DURATION.search(header))


def matroska_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where Matroska and WebM files begin."""
    total, start = file.seek(0, 2), 0
    while True:
        yield start
        end = matroska_end(file, start)
        if end is None or end > total:
            following = find(file, EBML, start + 4, total, lambda at: _is_matroska(file, at))
        else:
            following = end if end < total and _is_matroska(file, end) else None
        if following is None:
            return
        start = following


def flv_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where FLV files begin."""
    total, start = file.seek(0, 2), 0
    while True:
        yield start
        following = find(file, FLV, start + 4, total, lambda at: bool(_FLV_HEADER.match(read_at(file, at, 16))))
        if following is None:
            return
        start = following


def asf_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where ASF files begin: at a header object at the top level."""
    total, at = file.seek(0, 2), 0
    while at + 24 <= total:
        head = read_at(file, at, 24)
        size = int.from_bytes(head[16:], "little")
        if head[:16] == ASF_HEADER:
            yield at
        if size < 24:
            return
        at += size


def avi_chunks(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, form) of the RIFF chunks of AVI files; long files have further ones, of the form AVIX."""
    total, at = file.seek(0, 2), 0
    while at + 12 <= total:
        head = read_at(file, at, 12)
        if head[:4] != b"RIFF":
            return
        size = int.from_bytes(head[4:8], "little")
        yield at, at + 8 + size + size % 2, head[8:]
        at += 8 + size + size % 2


def avi_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where AVI files begin."""
    for start, _, form in avi_chunks(file):
        if form == b"AVI ":
            yield start


def au_starts(file: BinaryIO) -> Iterator[int]:
    """Yield where Sun audio files begin."""
    total, at = file.seek(0, 2), 0
    while (size := au_size(file, at)) is not None:
        yield at
        at += size
        if at >= total:
            return


def au_size(file: BinaryIO, start: int = 0) -> int | None:
    """Return the bytes of the Sun audio file that begins at `start` by its header; None if there is none or it does not say."""
    head = read_at(file, start, 12)
    if head[:4] != b".snd" or len(head) < 12:
        return None
    header, size = struct.unpack(">II", head[4:])
    return None if size in (0, 0xFFFF_FFFF) else header + size


def declared_size(file: BinaryIO) -> int | None:
    """Return how many bytes an ASF, AVI, FLV or Sun audio file has by its header; None for others, or if it does not say."""
    head = read_at(file, 0, 16)
    if head == ASF_HEADER:
        header = read_at(file, 0, _HEAD)
        at = header.find(_ASF_PROPERTIES)
        known = at >= 0 and len(header) >= at + 92 and not header[at + 88] & 1  # else it was broadcast
        return int.from_bytes(header[at + 40 : at + 48], "little") or None if known else None
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        ends = [end for start, end, _ in avi_chunks(file) if end > start + 12]
        return ends[-1] if ends else None
    if head[:4] == FLV and (found := _FLV_SIZE.search(read_at(file, 0, _HEAD))):
        size = struct.unpack(">d", found[1])[0]
        return int(size) if 0 < size < 1 << 50 else None
    return au_size(file)


def read_at(file: BinaryIO, at: int, size: int) -> bytes:
    """Return the bytes at a position, fewer at the end of the file."""
    file.seek(at)
    return file.read(size)


def find(file: BinaryIO, mark: bytes, start: int, end: int, check: Callable[[int], bool]) -> int | None:
    """Return the first position from `start` at which a mark lies and `check` of the position holds."""
    for at in range(start, end, _BLOCK):
        block = read_at(file, at, _BLOCK + len(mark) - 1)
        found = block.find(mark)
        while found >= 0:
            if check(at + found):
                return at + found
            found = block.find(mark, found + 1)
    return None


def _is_matroska(file: BinaryIO, at: int) -> bool:
    head = read_at(file, at, 96)
    return head[:4] == EBML and (b"webm" in head or b"matroska" in head)
