"""Tar files of shards: regular files whose headers do not depend on machine or time, and the positions of their members.

The format is ustar of POSIX.1-1988 (IEEE Std 1003.1, pax, "ustar Interchange Format"), which every reader of tars knows. `tarfile`
can write it too; a header of 512 bytes made from a template costs a tenth of its time, which counts where members are small.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

TAR_BLOCK = 512
"""Bytes; headers and data begin at multiples of it."""
END = bytes(2 * TAR_BLOCK)
"""The end of an archive: two blocks of zeros."""
MAX_NAME = 100
"""Bytes that a header has for a name without a prefix."""
MAX_SIZE = 8**11 - 1
"""Bytes of a member: eleven octal digits."""

_AFTER_NAME = b"0000444\0" + b"0000000\0" * 2  # mode, uid, gid
_AFTER_SIZE = b"00000000000\0"  # mtime
_AFTER_CHECKSUM = b"0" + bytes(100) + b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
_TEMPLATE_SUM = (
    sum(_AFTER_NAME) + sum(_AFTER_SIZE) + sum(_AFTER_CHECKSUM) + 8 * ord(" ")
)  # the checksum counts as spaces
_PADDING = [bytes(-n % TAR_BLOCK) for n in range(TAR_BLOCK)]
_REGULAR = (b"0", b"\0")
_CHECKSUM = slice(148, 156)


class BrokenTar(ValueError):
    """The tar is truncated, damaged or not a shard; the message says what is wrong, and at which byte."""


@dataclass(frozen=True, slots=True)
class TarMember:
    """Position of a member, in bytes from the start of the tar."""

    name: str
    header_offset: int
    data_offset: int
    size: int
    """Size of its data, without the padding."""

    @property
    def end(self) -> int:
        """First byte after its padding: the bytes from `header_offset` up to here are all of it."""
        return self.data_offset + padded_size(self.size)


def padded_size(size: int) -> int:
    """Size of data including the padding."""
    return -(-size // TAR_BLOCK) * TAR_BLOCK


def member_around(name: str, size: int) -> tuple[bytes, bytes]:
    """Header and padding of a member.

    Raises:
        ValueError: the name or the data are too long for a ustar header, or the name is empty or has a NUL in it.
    """
    return member_header(name, size), _PADDING[size % TAR_BLOCK]


def member_header(name: str, size: int) -> bytes:
    """Header of a world-readable regular file: mode 0444, user and group 0 without names, time 0.

    Raises:
        ValueError: see `member_around`.
    """
    raw = name.encode()
    if not 0 < len(raw) <= MAX_NAME or b"\0" in raw:
        raise ValueError(f"{name!r} cannot be a member's name: a tar has 1 to {MAX_NAME} bytes for it")
    if size > MAX_SIZE:
        raise ValueError(f"{name} has {size:,} bytes, but a tar member can have at most {MAX_SIZE:,}")
    length = b"%011o\0" % size
    checksum = b"%06o\0 " % (_TEMPLATE_SUM + sum(raw) + sum(length))
    return b"".join((raw.ljust(MAX_NAME, b"\0"), _AFTER_NAME, length, _AFTER_SIZE, checksum, _AFTER_CHECKSUM))


def read_members(file: BinaryIO) -> Iterator[TarMember]:
    """Iterate over the members of a tar by their headers, skipping the data.

    Raises:
        BrokenTar: it is truncated, even only in the blocks at its end, a header is damaged, there are data after the end, or a
            member is not a regular file.
    """
    size = file.seek(0, 2)
    position = 0
    while True:
        file.seek(position)
        block = file.read(TAR_BLOCK)
        if block == END[:TAR_BLOCK]:
            _check_end(file, position)
            return
        found = _parse_header(block, position)
        if found.end > size:
            raise BrokenTar(
                f"{found.name} is cut off: it should end at byte {found.end:,}, but the file ends at {size:,}"
            )
        yield found
        position = found.end


def read_header(file: BinaryIO, position: int) -> TarMember:
    """Read the header at a position and return its member.

    Raises:
        BrokenTar: there is no valid header.
    """
    file.seek(position)
    return _parse_header(file.read(TAR_BLOCK), position)


def _parse_header(block: bytes, position: int) -> TarMember:
    if len(block) < TAR_BLOCK:
        raise BrokenTar(f"truncated: it ends at byte {position + len(block):,} without the blocks that end a tar")
    try:
        checksum = int(block[_CHECKSUM].strip(b" \0"), 8)
        size = int(block[124:136].strip(b" \0"), 8)
        name = block[:MAX_NAME].split(b"\0", 1)[0].decode()
        prefix = block[345:500].rstrip(b"\0").decode()
    except ValueError:
        raise BrokenTar(f"no valid tar header at byte {position:,}") from None
    # written by this package: faster than the checksum
    if not prefix and 0 < len(name) <= MAX_NAME and block == member_header(name, size):
        return TarMember(name, position, position + TAR_BLOCK, size)
    if checksum != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
        raise BrokenTar(f"damaged header at byte {position:,}: its checksum differs")
    if block[156:157] not in _REGULAR:
        raise BrokenTar(
            f"{name} at byte {position:,} is not a regular file of a ustar archive (type {block[156:157]!r})"
        )
    return TarMember(f"{prefix}/{name}" if prefix else name, position, position + TAR_BLOCK, size)


def _check_end(file: BinaryIO, position: int) -> None:
    file.seek(position)
    rest = 0
    while block := file.read(1 << 20):
        if block.count(0) != len(block):
            raise BrokenTar(f"data after the end of the tar at byte {position:,}")
        rest += len(block)
    if rest < len(END):
        raise BrokenTar(f"truncated: one of the two blocks that end a tar is missing at byte {position:,}")
