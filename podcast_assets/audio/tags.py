"""Tags inside an MPEG audio stream, which a decoder would take for audio.

Programs that insert advertisements join whole files: tags with cover images then lie in the middle. MP3 and ADTS have no
container, so that a decoder looks for frames everywhere, and finds some in an image.
"""

import re
from typing import BinaryIO

from podcast_assets.audio.view import Range

_BLOCK = 1 << 20
_ID3_HEADER = 10
_ID3V1 = 128
_APE_HEADER = 32
_LARGEST = 1 << 28  # an ID3 tag's size has 28 bits
_OVERLAP = 16
_MARK = re.compile(rb"ID3[\x02-\x04]|APETAGEX|TAG|LYRICSBEGIN")
_TEXT = re.compile(rb"[^\x00-\x08\x0e-\x1f]*[\x00 ]*\Z")
_LYRICS_END = re.compile(rb"(\d{6})LYRICS200|LYRICSEND")


def is_mpeg_audio(file: BinaryIO) -> bool:
    """Return whether a file is MP3, MP2 or ADTS behind any tags."""
    at = 0
    while (end := find_tag_end(file, at)) is not None:
        at = end
    return _is_frame(_read_at(file, at, 4))


def find_tags(file: BinaryIO) -> list[Range]:
    """Return the tags (ID3v1, ID3v2, APEv1, APEv2, Lyrics3) anywhere in an MPEG audio stream, in order and joined if they touch.

    What looks like a tag counts only where its size is consistent, and another tag, a frame or the end of the file follows.
    """
    size = file.seek(0, 2)
    found: list[Range] = []
    at = 0
    while at < size:
        block = _read_at(file, at, _BLOCK + _OVERLAP)
        following = at + _BLOCK
        for mark in _MARK.finditer(block):
            start = at + mark.start()
            if mark.start() >= _BLOCK or (found and start < found[-1][1]):
                continue
            if (tag := _tag_at(file, start, size)) is not None:
                begin = max(tag[0], found[-1][1] if found else 0)
                if found and begin == found[-1][1]:
                    begin = found.pop()[0]
                found.append((begin, tag[1]))
                if tag[1] >= following:
                    following = tag[1]
                    break
        at = following
    return found


def _tag_at(file: BinaryIO, start: int, size: int) -> Range | None:
    if (end := find_tag_end(file, start)) is not None:
        end = min(end, size)
        return (start, end) if end == size or _is_followed(file, end) else None
    head = _read_at(file, start, _APE_HEADER)
    if head[:8] == b"APETAGEX" and len(head) == _APE_HEADER:  # a footer: the tag lies before it
        length = int.from_bytes(head[12:16], "little")
        begin, end = start + _APE_HEADER - length, start + _APE_HEADER
        if _APE_HEADER <= length <= end and (end >= size or _is_followed(file, end)):
            return begin, end
    return None


def find_tag_end(file: BinaryIO, at: int) -> int | None:
    """Return the end of the tag that begins here, if one does."""
    head = _read_at(file, at, _APE_HEADER)
    if head[:3] == b"ID3" and len(head) >= _ID3_HEADER:
        version, revision, flags, size = head[3], head[4], head[5], head[6:10]
        if version not in (2, 3, 4) or revision == 0xFF or flags & 0x0F or max(size) > 0x7F:
            return None
        length = 0
        for byte in size:  # ID3v2.4, section 6.2: seven bits of each byte
            length = length << 7 | byte
        footer = _ID3_HEADER if flags & 0x10 else 0
        return at + _ID3_HEADER + length + footer
    if head[:8] == b"APETAGEX" and len(head) == _APE_HEADER and head[23] & 0x20:  # a header: the tag lies behind it
        length = int.from_bytes(head[12:16], "little")
        return at + _APE_HEADER + length if length < _LARGEST else None
    if head[:3] == b"TAG":
        body = _read_at(file, at, _ID3V1)
        fields = (body[3:33], body[33:63], body[63:93], body[93:97])
        return at + _ID3V1 if len(body) == _ID3V1 and all(map(_TEXT.match, fields)) else None
    if head[:11] == b"LYRICSBEGIN" and (end := _LYRICS_END.search(_read_at(file, at, 1 << 16))):
        return at + end.end()
    return None


def _is_followed(file: BinaryIO, at: int) -> bool:
    head = _read_at(file, at, 64)
    return (
        _is_frame(head[:4])
        or bool(_MARK.match(head))
        or not head.strip(b"\0")  # padding
    )


def _is_frame(head: bytes) -> bool:
    """Return whether these are the first four bytes of an MPEG audio frame (ISO 11172-3, 13818-3, 13818-7)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    if head[1] & 0xF6 == 0xF0:
        return head[2] >> 2 & 0xF < 13  # ADTS: the sample rate's index
    version, layer, bit_rate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    return version != 1 and layer != 0 and bit_rate not in (0, 15) and rate != 3


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
