"""Declared length of a file, where libavformat does not report it or only estimates it.

libavformat shortens the duration of a truncated WAV to the existing data, reads that of Ogg from the last page that it finds,
and estimates that of an MP3 without tag from its bit rate. Detecting truncation therefore requires reading the header itself.
"""

import re
import struct
from typing import BinaryIO

_MP3_INFO = re.compile(rb"\xff[\xe0-\xff]..(?:.{9}|.{17}|.{32})(?:Xing|Info)(.{4})(.{8})", re.DOTALL)
_MP3_VBRI = re.compile(rb"\xff[\xe0-\xff]...{32}VBRI.{6}(.{4})(.{4})", re.DOTALL)
_OGG_MAX_PAGE = 65_307  # RFC 3533, section 6
_OGG_HEADER = 27
_UNCOMPRESSED = {1, 3, 6, 7, 0xFFFE}
"""Codec numbers of WAV in which a byte rate is exact: PCM, float, A-law, mu-law, and their extensible form."""


def mp3_declared_frames(file: BinaryIO) -> int | None:
    """Return the frames that the Xing, Info or VBRI tag in the first MP3 frame declares; None without such a tag."""
    return _read_mp3_tag(file)[0]


def mp3_declared_bytes(file: BinaryIO) -> tuple[int | None, int]:
    """Return the bytes that the tag in the first MP3 frame declares, None without one, and the position of that frame."""
    _, size, start = _read_mp3_tag(file)
    return size, start


def _read_mp3_tag(file: BinaryIO) -> tuple[int | None, int | None, int]:
    """Return the frames and bytes that the tag declares, and the position from which bytes are counted."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        size = 0
        for byte in head[6:10]:  # ID3v2.4, section 6.2: seven bits of each byte
            size = size << 7 | byte & 0x7F
        start += 10 + size
    file.seek(start)
    first = file.read(4096)
    if info := _MP3_INFO.search(first):
        numbers = [int.from_bytes(info[2][:4], "big"), int.from_bytes(info[2][4:], "big")]
        frames = numbers.pop(0) if info[1][3] & 1 else None
        return frames, numbers[0] if info[1][3] & 2 else None, start + info.start()
    if vbri := _MP3_VBRI.search(first):
        return int.from_bytes(vbri[2], "big"), int.from_bytes(vbri[1], "big"), start + vbri.start()
    return None, None, start


def mp3_declared_duration(file: BinaryIO, sample_rate: int) -> float | None:
    """Return the seconds that the tag in the first MP3 frame declares; None without one."""
    frames = mp3_declared_frames(file)
    samples_per_frame = 1152 if sample_rate >= 32_000 else 576  # layer III of MPEG-1, of MPEG-2 and 2.5
    return frames * samples_per_frame / sample_rate if frames else None


def wav_declared_duration(file: BinaryIO) -> float | None:
    """Return the seconds that a WAV or RF64 header declares; None if its writer did not know (as when writing to a pipe).

    The byte rate counts for uncompressed audio; for other codecs it is an estimate, and the chunk `fact` has the samples.
    """
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return None
    codec, rate, byte_rate, long_size, fact = 0, 0, 0, None, 0
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            if long_size is None and (size in (0, 0xFFFF_FFFF) or 0x7FFF_0000 <= size <= 0x7FFF_FFFF):
                return None  # 0, all ones and just under 2 GiB mean "unknown"
            if codec not in _UNCOMPRESSED and fact and rate:
                return fact / rate
            return (size if long_size is None else long_size) / byte_rate or None if byte_rate else None
        body = file.read(size + size % 2) if name in (b"fmt ", b"ds64", b"fact") else b""
        if name == b"fmt " and len(body) >= 12:
            codec, rate, byte_rate = struct.unpack_from("<H2xII", body)
        elif name == b"ds64" and len(body) >= 16:
            long_size = struct.unpack_from("<Q", body, 8)[0]
        elif name == b"fact" and len(body) >= 4:
            fact = struct.unpack_from("<I", body)[0]
        elif not body:
            file.seek(size + size % 2, 1)
    return None


def ogg_is_finished(file: BinaryIO) -> bool:
    """Return whether the last page of an Ogg file is complete and has the end-of-stream flag (RFC 3533, section 6)."""
    end = file.seek(0, 2)
    file.seek(max(0, end - 2 * _OGG_MAX_PAGE))
    tail = file.read()
    at = tail.rfind(b"OggS")
    header = tail[at : at + _OGG_HEADER]
    if at < 0 or len(header) < _OGG_HEADER:
        return False
    segments = tail[at + _OGG_HEADER : at + _OGG_HEADER + header[26]]
    whole = len(segments) == header[26] and at + _OGG_HEADER + len(segments) + sum(segments) <= len(tail)
    return whole and bool(header[5] & 0x04)


def is_mp4(file: BinaryIO) -> bool:
    """Return whether a file begins like MP4 or QuickTime (ISO/IEC 14496-12: an `ftyp` box)."""
    file.seek(0)
    return file.read(8)[4:] == b"ftyp"
