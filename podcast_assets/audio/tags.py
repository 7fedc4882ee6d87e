"""Tags inside an MPEG audio stream, which a decoder would take for audio.

Programs that insert advertisements join whole files: tags with cover images then lie in the middle. MP3 and ADTS have no
container, so that a decoder looks for frames everywhere, and finds some in an image.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from podcast_assets.audio.containers import read_at
from podcast_assets.audio.view import Range

_BLOCK = 1 << 18
_ID3_HEADER = 10
_ID3V1 = 128
_APE_HEADER = 32
_LARGEST = 1 << 28  # an ID3 tag's size has 28 bits
_OVERLAP = 16
_MPEG1_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KILOBITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MARKS = (b"ID3", b"APETAGEX", b"TAG", b"LYRICSBEGIN", b"Xing", b"Info", b"VBRI")
_MARK_PAIRS = tuple({int.from_bytes(mark[:2], "little") for mark in _MARKS})
_MARK = re.compile(rb"ID3[\x02-\x04]|APETAGEX|TAG|LYRICSBEGIN")
_TEXT = re.compile(rb"[^\x00-\x08\x0e-\x1f]*[\x00 ]*\Z")
_LYRICS_END = re.compile(rb"(\d{6})LYRICS200|LYRICSEND")


def is_mpeg_audio(file: BinaryIO) -> bool:
    """Return whether a file is MP3, MP2 or ADTS behind any tags."""
    at = 0
    while (end := find_tag_end(file, at)) is not None:
        at = end
    return _is_frame(read_at(file, at, 4))


def find_tags(file: BinaryIO) -> list[Range]:
    """Return what is no audio in an MPEG audio stream, in order; ranges that touch are joined.

    These are tags (ID3v1, ID3v2, APEv1, APEv2, Lyrics3), and the frames after the first that only describe a file (Xing,
    Info, VBRI). What looks like a tag counts only where its size is consistent, and another tag, a frame or the end follows.
    """
    size = file.seek(0, 2)
    found: list[Range] = []
    at = 0
    while at < size:
        block = read_at(file, at, _BLOCK + _OVERLAP)
        following = at + _BLOCK
        for start in sorted(_marks_in(block)):
            if at + start < (found[-1][1] if found else 0):
                continue
            if (tag := _tag_at(file, at + start, size)) is not None:
                begin = max(tag[0], found[-1][1] if found else 0)
                if found and begin == found[-1][1]:
                    begin = found.pop()[0]
                found.append((begin, tag[1]))
        at = max(following, found[-1][1] if found else 0)
    return found


def _marks_in(block: bytes) -> Iterator[int]:
    """Yield where a mark begins, in any order.

    Comparing the first two bytes of all marks by numpy is four times as fast as `bytes.find`, which is faster than `re`.
    """
    for odd in (0, 1):
        pairs = np.frombuffer(block[odd : odd + (len(block) - odd) // 2 * 2], "<u2")
        may_begin = np.zeros(len(pairs), bool)
        for pair in _MARK_PAIRS:
            may_begin |= pairs == pair
        for at in (2 * np.flatnonzero(may_begin) + odd).tolist():
            if at < _BLOCK and block.startswith(_MARKS, at):
                yield at


def _tag_at(file: BinaryIO, start: int, size: int) -> Range | None:
    if (end := find_tag_end(file, start)) is not None:
        return (start, end) if end == size or (end < size and _is_followed(file, end)) else None
    head = read_at(file, start, _APE_HEADER)
    if _is_ape(head):  # a footer: the tag lies before it
        length = int.from_bytes(head[12:16], "little")
        begin, end = start + _APE_HEADER - length, start + _APE_HEADER
        if _APE_HEADER <= length <= end and (end >= size or _is_followed(file, end)):
            return begin, end
        return None
    return _describing_frame(file, start, size) if head[:4] in (b"Xing", b"Info", b"VBRI") else None


def _describing_frame(file: BinaryIO, mark: int, size: int) -> Range | None:
    """Return the frame that has a mark in the place where players look for it, unless it is the file's first."""
    for offset in (36,) if read_at(file, mark, 4) == b"VBRI" else (36, 21, 13):
        start = mark - offset
        head = read_at(file, start, 4) if start > 0 else b""
        if _is_frame(head) and (length := _mp3_frame_length(head)) and not read_at(file, start + 4, 9).strip(b"\0"):
            end = min(start + length, size)
            first = _is_tag_only(file, start)
            return None if first or not (end == size or _is_followed(file, end)) else (start, end)
    return None


def _is_tag_only(file: BinaryIO, end: int) -> bool:
    """Return whether a file has nothing but tags up to a position."""
    at = 0
    while at < end and (tag := find_tag_end(file, at)) is not None:
        at = tag
    return at >= end


def find_tag_end(file: BinaryIO, at: int) -> int | None:
    """Return the end of the tag that begins here, if one does."""
    head = read_at(file, at, _APE_HEADER)
    if head[:3] == b"ID3" and len(head) >= _ID3_HEADER:
        version, revision, flags, size = head[3], head[4], head[5], head[6:10]
        if version not in (2, 3, 4) or revision == 0xFF or flags & 0x0F or max(size) > 0x7F:
            return None
        length = 0
        for byte in size:  # ID3v2.4, section 6.2: seven bits of each byte
            length = length << 7 | byte
        footer = _ID3_HEADER if flags & 0x10 else 0
        return at + _ID3_HEADER + length + footer
    if _is_ape(head) and head[23] & 0x20:  # a header: the tag lies behind it
        length = int.from_bytes(head[12:16], "little")
        return at + _APE_HEADER + length if length < _LARGEST else None
    if head[:3] == b"TAG":
        body = read_at(file, at, _ID3V1)
        fields = (body[3:33], body[33:63], body[63:93], body[93:97])
        return at + _ID3V1 if len(body) == _ID3V1 and all(map(_TEXT.match, fields)) else None
    if head[:11] == b"LYRICSBEGIN" and (end := _LYRICS_END.search(read_at(file, at, 1 << 16))):
        return at + end.end()
    return None


def _is_ape(head: bytes) -> bool:
    """Return whether this is the header or footer of an APE tag of version 1 or 2."""
    return head[:12] in (b"APETAGEX\xe8\3\0\0", b"APETAGEX\xd0\7\0\0") and head[24:] == bytes(8)


def _is_followed(file: BinaryIO, at: int) -> bool:
    head = read_at(file, at, 64)
    return (
        _is_frame(head[:4]) or bool(_MARK.match(head)) or not head.strip(b"\0")  # padding
    )


def _is_frame(head: bytes) -> bool:
    """Return whether these are the first four bytes of an MPEG audio frame (ISO 11172-3, 13818-3, 13818-7)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:
        return head[2] >> 2 & 0xF < 13  # ADTS: the sample rate's index
    version, layer, bit_rate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and bit_rate not in (0, 15) and rate != 3


def _mp3_frame_length(head: bytes) -> int | None:
    """Return the bytes of a layer III frame (ISO 11172-3, 13818-3)."""
    version, layer, padding = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 1 & 1
    if layer != 1:
        return None
    rate = (44_100, 48_000, 32_000)[head[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    kilobits = (_MPEG1_KILOBITS if version == 3 else _MPEG2_KILOBITS)[head[2] >> 4]
    return (144 if version == 3 else 72) * kilobits * 1000 // rate + padding
