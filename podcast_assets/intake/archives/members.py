"""Archives as a stream of members. Nothing is unpacked to disk, so names in an archive cannot escape a folder."""

import bz2
import contextlib
import errno
import functools
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tarfile import (
    EOFHeaderError,  # type: ignore[attr-defined]  # typeshed has the others only
    HeaderError,
    ReadError,
    TarFile,
)
from typing import IO, BinaryIO, Self, cast

import zstandard
from zlib_ng import gzip_ng, zlib_ng

from podcast_assets.intake.archives.limits import GENEROUS, ArchiveLimits, Bomb, Damaged, Meter, Metered
from podcast_assets.intake.archives.name_encodings import decode_names
from podcast_assets.intake.archives.zips import zip_entries
from podcast_assets.intake.names import safe_member_name
from podcast_assets.store.store import BLOCK

ERRORS: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    cast("type[Exception]", zlib_ng.error),
    lzma.LZMAError,
    zstandard.ZstdError,
    EOFError,
    ValueError,
    RuntimeError,  # includes NotImplementedError, for compressions that zipfile does not know
)
"""Errors of reading broken archives, in addition to OSError."""

MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


@dataclass(frozen=True)
class ArchiveMember:
    """A file in an archive. `stream` can be read until the next member is requested."""

    name: str
    stream: IO[bytes]


@dataclass(frozen=True)
class RefusedMember:
    """An archive member that is skipped, with the reason."""

    name: str
    reason: str


def archive_format(head: bytes) -> str | None:
    """Detect the format from the first 512 bytes: tar, zip, gzip, xz, bzip2 or zstd; None for anything else."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def read_members(
    archive: BinaryIO, limits: ArchiveLimits = GENEROUS, meter: Meter | None = None
) -> Iterator[ArchiveMember | RefusedMember]:
    """Iterate over the members of an archive in order. Links, devices and names that lead out of it are refused one by one.

    A member's stream raises `Damaged` if the member cannot be read; the next member may still be requested.

    Args:
        archive: the archive.
        limits: limits on what an archive may unpack to.
        meter: meter of the archive that contains this one; None for an outermost archive.

    Raises:
        Bomb: the archive unpacks to more than the limits allow.
        Damaged: the archive is truncated or broken; the members before were complete.
        OSError: the store cannot be read.
    """
    head = archive.read(512)
    meter = meter or Meter(limits, archive.seek(0, io.SEEK_END))
    archive.seek(0)
    form = archive_format(head)
    if form is None:
        raise Damaged("not an archive: neither tar (plain, gz, xz, bz2, zst) nor zip by its first bytes")
    with _translate_errors():
        if form == "zip":
            yield from _zip_members(archive, meter)
        else:
            with _decompress(archive, form) as plain:
                yield from _tar_members(Metered(plain, meter), meter)


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate errors of broken data to `Damaged`; errors of the system and the network keep their type."""
    try:
        yield
    except Damaged:
        raise
    except ERRORS as error:
        raise Damaged(str(error) or type(error).__name__) from error
    except OSError as error:
        # gzip and bz2 raise OSError without errno for broken data; zipfile seeks to invalid offsets (EINVAL)
        if error.errno not in (None, errno.EINVAL) or type(error) not in (OSError, gzip.BadGzipFile):
            raise
        raise Damaged(str(error)) from error


class _Content(io.RawIOBase):
    """Content of a member, opened at the first read. Errors are raised as `Damaged` and kept in `damage`."""

    def __init__(self, opener: Callable[[], IO[bytes] | None], meter: Meter | None = None) -> None:
        """Create the stream without opening the member.

        Args:
            opener: opens the member.
            meter: counts the bytes read; None if the archive's stream is counted already.
        """
        self._opener, self._meter = opener, meter
        self._stream: IO[bytes] | None = None
        self.damage: Damaged | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            with _translate_errors():
                self._stream = self._stream or self._opener()
                block = self._stream.read(len(buffer)) if self._stream else b""
                if self._meter:
                    self._meter.add(len(block))
        except Damaged as error:
            self.damage = error
            raise
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        super().close()


_HEADER_BYTES = 1 << 16
"""Limit for a long name or the extended header of one member. Every system limits names to 4,096 bytes."""
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _StrictTarInfo(tarfile.TarInfo):
    """A tar header. `tarfile` treats an unreadable header as the end of the archive; here only the end marker ends it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in _EXTENDED and info.size > _HEADER_BYTES:  # tarfile would read and search it in memory
            raise ReadError(f"a header of {info.size:,} bytes, where {_HEADER_BYTES:,} are allowed")
        if info.size < 0:
            raise ReadError(f"a member of {info.size:,} bytes")
        return info

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        stream = cast("BinaryIO", tarfile.fileobj)
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:  # a block of zeros
            rest = iter(lambda: stream.read(BLOCK), b"")
            if any(block.strip(b"\0") for block in rest):
                raise ReadError("there are data after its end marker") from None
            raise
        except HeaderError as error:
            raise ReadError(f"at byte {stream.tell()}: {error}, and no end marker before") from error


def _tar_members(plain: Metered, meter: Meter) -> Iterator[ArchiveMember | RefusedMember]:
    stream = cast("BinaryIO", plain)
    with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape", tarinfo=_StrictTarInfo) as tar:
        while True:
            # the rest of the previous member is skipped, then only headers are read
            left = tar.offset - tar.fileobj.tell() if tar.fileobj else 0  # type: ignore[attr-defined]
            with plain.only_headers(max(left, 0)):
                info = tar.next()
            if info is None:
                return
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep all members in memory
            meter.entry()
            if info.isdir():
                continue
            raw = info.name.encode("utf-8", "surrogateescape")
            name = decode_names([raw])[raw]
            reason = _why_refused(name)
            if reason is None and not info.isreg():
                reason = "a link or a device, not a file"
            elif reason is None and info.issparse():
                reason = "a sparse file, whose holes may have any size"
            if reason:
                yield RefusedMember(_printable_name(name), reason)
                continue
            content = _Content(functools.partial(tar.extractfile, info))
            yield ArchiveMember(safe_member_name(name) or "", cast("IO[bytes]", content))
            if content.damage:  # the rest of a broken stream cannot be trusted
                raise content.damage


def _zip_members(archive: BinaryIO, meter: Meter) -> Iterator[ArchiveMember | RefusedMember]:
    for entry in zip_entries(archive, meter):
        meter.entry()
        if entry.is_folder:
            continue
        if reason := entry.refusal or _why_refused(entry.name):
            yield RefusedMember(_printable_name(entry.name), reason)
            continue
        with _Content(entry.open, meter) as content:
            yield ArchiveMember(safe_member_name(entry.name) or "", cast("IO[bytes]", content))
        if isinstance(content.damage, Bomb):
            raise content.damage


def _why_refused(name: str) -> str | None:
    """Reason why a member of this name is skipped; None if the name is safe."""
    if len(name) > _NAME_CHARACTERS:
        return f"its name has {len(name):,} characters"
    return None if safe_member_name(name) else "its name leads out of the archive"


_NAME_CHARACTERS = 4_096


@contextlib.contextmanager
def _decompress(archive: BinaryIO, form: str) -> Iterator[IO[bytes]]:
    if form == "tar":
        yield archive
    elif form == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(archive, read_across_frames=True) as plain:
            yield cast("IO[bytes]", plain)
    else:
        openers = {"gzip": gzip_ng.open, "xz": lzma.open, "bzip2": bz2.open}
        with openers[form](archive, "rb") as plain:
            yield cast("IO[bytes]", plain)


_PRINTED_CHARACTERS = 300


def _printable_name(name: str) -> str:
    """Name as text of limited length, with bytes that are not UTF-8 escaped."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")[:_PRINTED_CHARACTERS]
