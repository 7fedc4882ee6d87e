"""Entries of a zip, read from its central directory or, without one, sequentially."""

import functools
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from podcast_assets.intake.archives.limits import ArchiveLimits, Bomb, Damaged, Meter
from podcast_assets.intake.archives.name_encodings import decode_names
from podcast_assets.store.store import BLOCK

_DIRECTORY_BYTES = 1_024
"""Generous size of a directory entry: 46 bytes and its name."""
_END = struct.Struct("<4s4xHHL")
_END_BYTES, _COMMENT_BYTES = 22, 65_535
_UTF8 = 0x800
"""Flag of a name in UTF-8."""
_UNICODE_PATH = 0x7075


@dataclass(frozen=True)
class ZipEntry:
    """An entry of a zip. `open` returns its content, readable until the next entry is requested."""

    name: str
    open: Callable[[], IO[bytes]]
    is_folder: bool = False
    refusal: str | None = None
    """Reason why the entry is skipped."""


def zip_entries(archive: BinaryIO, meter: Meter) -> Iterator[ZipEntry]:
    """Iterate over the entries of a zip. If its directory is missing or broken, complete entries come before the error.

    Raises:
        Bomb: the directory alone is too large.
        Damaged: the zip is truncated or broken.
    """
    _check_directory(archive, meter.limits)
    try:
        zipped = zipfile.ZipFile(archive)
    except UnicodeDecodeError:  # zipfile gives up the whole archive for one name that is not valid UTF-8
        yield from _read_sequentially(archive, meter)
        return
    except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, OverflowError) as error:
        yield from _read_sequentially(archive, meter)
        raise Damaged(f"its directory is missing or unreadable ({error})") from error
    with zipped:
        names = _names_of(zipped.infolist())
        for info, name in zip(zipped.infolist(), names, strict=True):
            refusal = None
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                refusal = "a link or a device, not a file"
            elif info.flag_bits & 1:
                refusal = "encrypted"
            yield ZipEntry(name, functools.partial(zipped.open, info), info.is_dir(), refusal)


def _names_of(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Names of entries: as flagged, else as their Unicode path, else as the bytes suggest.

    zipfile decodes names without the flag as cp437, in which every byte is a character.
    """
    raw = [
        None if info.flag_bits & _UTF8 or info.filename.isascii() else info.filename.encode("cp437") for info in entries
    ]
    decoded = decode_names(name for name in raw if name is not None)
    return [
        info.filename if name is None else _unicode_path(info, name) or decoded[name]
        for info, name in zip(entries, raw, strict=True)
    ]


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """Name in the extra field "Info-ZIP Unicode Path" (APPNOTE 4.6.9); None if there is none, or it is of an earlier name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if (
            kind == _UNICODE_PATH
            and len(field) == size > 5
            and struct.unpack_from("<L", field, 1)[0] == zlib.crc32(raw)
        ):
            return field[5:].decode("utf-8", "replace")
    return None


def _check_directory(archive: BinaryIO, limits: ArchiveLimits) -> None:
    """Refuse a huge directory, because zipfile reads it into memory."""
    size = archive.seek(0, io.SEEK_END)
    archive.seek(max(0, size - _END_BYTES - _COMMENT_BYTES))
    tail = archive.read()
    at = tail.rfind(b"PK\5\6")
    if 0 <= at <= len(tail) - _END.size:
        _, _, _, directory = _END.unpack_from(tail, at)
        if directory == 0xFFFFFFFF:  # zip64: only the file's size bounds it unless its own end record is found
            directory = size if size > limits.files * _DIRECTORY_BYTES else 0
            if (long := tail.rfind(b"PK\6\6", 0, at)) >= 0 and long + 48 <= len(tail):
                (directory,) = struct.unpack_from("<Q", tail, long + 40)
        if directory > limits.files * _DIRECTORY_BYTES:
            raise Bomb(
                f"its directory has {directory:,} bytes, far more than {limits.files:,} entries need; to allow this, "
                "raise PODCAST_ARCHIVE_FILES"
            )
    archive.seek(0)


def _read_sequentially(archive: BinaryIO, meter: Meter) -> Iterator[ZipEntry]:
    """Iterate over entries by their local headers, without the directory."""
    import stream_unzip

    archive.seek(0)
    blocks = iter(lambda: archive.read(BLOCK), b"")
    try:
        for raw, _, chunks in stream_unzip.stream_unzip(blocks, chunk_size=BLOCK):
            name = decode_names([raw])[raw]
            content = _Chunks(chunks)
            yield ZipEntry(name, functools.partial(cast, "IO[bytes]", content), name.endswith("/"))
            content.finish(meter)
    except stream_unzip.UnzipError as error:
        raise Damaged(str(error) or type(error).__name__) from error


class _Chunks(io.RawIOBase):
    """File-like view of chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def finish(self, meter: Meter) -> None:
        """Read the rest of the entry, as the next one cannot be found without."""
        for chunk in self._chunks:
            meter.add(len(chunk))
