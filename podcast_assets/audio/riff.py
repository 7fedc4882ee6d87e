"""Chunks of WAV, RF64, AIFF, W64 and CAF files, and how much audio such a file really has.

The header of a recording that was not finished, or is longer than 4 GiB, gives a wrong size of the audio.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from podcast_assets.audio.containers import find, read_at
from podcast_assets.audio.tags import find_tag_end

_UNKNOWN_SIZES = range(0x7FFF_0000, 0x8000_0000)  # just under 2 GiB: sox and others write this to a pipe
_UNKNOWN = 0xFFFF_FFFF
_BLOCK = 1 << 20
_TAIL = 1 << 16
_NAME = re.compile(rb"[ -~]{4}")
_NEXT_WAVE = re.compile(rb"(?:RIFF|RF64|BW64)[\0-\xff]{4}WAVE(?:fmt |JUNK|ds64|bext|LIST)")
_KNOWN = frozenset(
    b"LIST bext id3 ID3 cue smpl fact junk JUNK PAD iXML axml aXML _PMX afsp PEAK FLLR umid chna dbmd regn acid inst DISP "
    b"LGWV minf elm1 plst cart SyLp Cr8r olym levl MARK COMT INST MIDI AESD APPL NAME AUTH (c) ANNO SAUR CHAN COMM FVER uuid "
    b"strg info pakt chan free edct peak ovvw".split()
)
"""Names of chunks, without trailing spaces."""
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


@dataclass(frozen=True, slots=True)
class Chunked:
    """Layout of one file of chunks, which may be followed by others."""

    data_start: int
    """Position of the audio."""
    data_end: int
    """Position after the audio that exists, or after the audio that is declared if that is less and believed."""
    end: int
    """Position after the file's last byte."""
    declared_size: int | None
    """Bytes of audio by the header; None if its writer did not know."""
    trusted: bool
    """Whether the header's size fits what lies behind the audio; `data_end` is found from that otherwise."""
    size_at: int
    """Position of the audio's size in the header."""


def read_wav(file: BinaryIO, start: int = 0) -> Chunked | None:
    """Return the layout of the WAV or RF64 file that begins at `start`; None if there is none with audio."""
    total = file.seek(0, 2)
    head = read_at(file, start, 12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64", b"RIFX") or head[8:] != b"WAVE":
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    at, long_size = start + 12, None
    while len(chunk := read_at(file, at, 8)) == 8:
        name, size = struct.unpack(f"{order}4sI", chunk)
        if name == b"data":
            unknown = long_size is None and (size in (0, _UNKNOWN) or size in _UNKNOWN_SIZES)
            declared = long_size if long_size is not None and size in (0, _UNKNOWN) else size
            walk = _Walk(file, total, lambda data: struct.unpack(f"{order}4sI", data), 2, _is_wave)
            return walk.measure(at + 8, declared, unknown, at + 4, _next_wave)
        if name == b"ds64" and len(body := read_at(file, at + 8, 16)) == 16:
            long_size = struct.unpack_from("<Q", body, 8)[0]
        at += 8 + size + size % 2
    return None


def read_aiff(file: BinaryIO, start: int = 0) -> Chunked | None:
    """Return the layout of the AIFF or AIFF-C file that begins at `start`; None if there is none with audio."""
    total = file.seek(0, 2)
    head = read_at(file, start, 12)
    if head[:4] != b"FORM" or head[8:] not in (b"AIFF", b"AIFC"):
        return None
    at = start + 12
    while len(chunk := read_at(file, at, 8)) == 8:
        name, size = struct.unpack(">4sI", chunk)
        if name == b"SSND":
            walk = _Walk(file, total, lambda data: struct.unpack(">4sI", data), 2, _is_aiff)
            return walk.measure(at + 8, size, size in (0, 8, _UNKNOWN), at + 4, None)
        at += 8 + size + size % 2
    return None


def read_w64(file: BinaryIO, start: int = 0) -> Chunked | None:
    """Return the layout of the Sony Wave64 file that begins at `start`; None if there is none with audio."""
    total = file.seek(0, 2)
    if read_at(file, start, 16) != _W64_RIFF:
        return None
    at = start + 40
    while len(chunk := read_at(file, at, 24)) == 24:
        name, size = chunk[:16], int.from_bytes(chunk[16:], "little")
        if name == _W64_DATA:
            unknown = size <= 24 or size >= 1 << 62
            walk = _Walk(file, total, _unpack_w64, 8, lambda data: data[:16] == _W64_RIFF)
            return walk.measure(at + 24, max(size - 24, 0), unknown, at + 16, None)
        if size < 24:
            return None
        at += -(-size // 8) * 8
    return None


def read_caf(file: BinaryIO, start: int = 0) -> Chunked | None:
    """Return the layout of the Core Audio file that begins at `start`; None if there is none with audio."""
    total = file.seek(0, 2)
    if read_at(file, start, 6) != b"caff\0\1":
        return None
    at = start + 8
    while len(chunk := read_at(file, at, 12)) == 12:
        name, size = struct.unpack(">4sq", chunk)
        if name == b"data":
            walk = _Walk(file, total, lambda data: struct.unpack(">4sq", data), 1, lambda data: data[:6] == b"caff\0\1")
            return walk.measure(at + 12, size, size in range(-1, 5), at + 4, None)
        if size < 0:
            return None
        at += 12 + size
    return None


class _Walk:
    """Compares the size of the audio with the chunks that lie behind it."""

    def __init__(
        self,
        file: BinaryIO,
        total: int,
        unpack: Callable[[bytes], tuple[bytes, int]],
        alignment: int,
        is_next_file: Callable[[bytes], bool],
    ) -> None:
        self._file, self._total, self._unpack, self._alignment = file, total, unpack, alignment
        self._is_next_file = is_next_file
        self._header = {1: 12, 2: 8, 8: 24}[alignment]

    def measure(
        self,
        data: int,
        declared: int,
        unknown: bool,
        size_at: int,
        find_next: Callable[[BinaryIO, int, int], int | None] | None,
    ) -> Chunked:
        available = self._total - data
        if not unknown and declared > available:
            return Chunked(data, self._total, self._total, declared, True, size_at)
        behind = data + max(declared, 0)
        if not unknown or declared == 0:
            for padding in {0, -behind % self._alignment}:
                if (end := self._end_of_chunks(behind + padding)) is not None and (end > data or available == 0):
                    return Chunked(data, behind, end, declared, True, size_at)
        end = (find_next(self._file, data, self._total) if find_next else None) or self._total
        return Chunked(data, self._start_of_last_chunks(data, end), end, None if unknown else declared, False, size_at)

    def _end_of_chunks(self, at: int) -> int | None:
        """Return where a plausible sequence of chunks ends: at the end of the file, or where another begins; None if it is none."""
        while True:
            head = read_at(self._file, at, self._header)
            if len(head) < self._header or (not head.strip(b"\0") and self._is_zero(at)):
                return self._total
            if self._is_next_file(read_at(self._file, at, 24)):
                return at
            if (tag := find_tag_end(self._file, at)) is not None:
                if tag >= self._total:
                    return self._total
                at = tag
                continue
            name, size = self._unpack(head)
            body = size if self._alignment != 8 else size - self._header
            if not _NAME.match(name) or body < 0:
                return None
            following = at + self._header + body
            if following > self._total:
                return (
                    self._total if name[:4].strip() in _KNOWN else None
                )  # the last chunk is cut off, but not the audio
            at = following + (-following % self._alignment if self._alignment == 8 else body % self._alignment)

    def _start_of_last_chunks(self, data: int, end: int) -> int:
        """Return the end of audio of unknown length: where known chunks begin that reach exactly to the end."""
        first = max(data, end - _TAIL)
        tail = read_at(self._file, first, end - first)
        for name in re.finditer(rb"LIST|bext|id3 |ID3 |cue |iXML|_PMX|COMT|uuid|info|strg", tail):
            at = first + name.start()
            following = at
            while following + self._header <= end:
                found, size = self._unpack(read_at(self._file, following, self._header))
                if found[:4].strip() not in _KNOWN or size < 0:
                    break
                following += self._header + size + size % 2
            if end <= following <= end + 1:
                return at
        return end

    def _is_zero(self, at: int) -> bool:
        while block := read_at(self._file, at, _BLOCK):
            if block.strip(b"\0"):
                return False
            at += len(block)
        return True


def _is_wave(data: bytes) -> bool:
    return data[:4] in (b"RIFF", b"RF64", b"BW64", b"RIFX") and data[8:12] == b"WAVE"


def _is_aiff(data: bytes) -> bool:
    return data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC")


def _unpack_w64(data: bytes) -> tuple[bytes, int]:
    return data[:16], int.from_bytes(data[16:24], "little")


def _next_wave(file: BinaryIO, start: int, end: int) -> int | None:
    """Return where another WAV file begins; its form lies 8 bytes after that."""
    at = find(file, b"WAVE", start + 8, end, lambda at: bool(_NEXT_WAVE.match(read_at(file, at - 8, 16))))
    return None if at is None else at - 8
