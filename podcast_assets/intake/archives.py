"""Archives as a stream of members: nothing is unpacked to disk, so no name in an archive can lead anywhere."""

import bz2
import contextlib
import errno
import functools
import gzip
import io
import lzma
import stat
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

from podcast_assets.errors import BadInput
from podcast_assets.intake.names import safe_member
from podcast_assets.store import BLOCK

ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    zstandard.ZstdError,
    EOFError,
    ValueError,
    RuntimeError,  # of which NotImplementedError, for a compression that zipfile does not know, is one
)
"""What reading broken archives raises, beside OSErrors."""

MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


class Damaged(BadInput):
    """An archive, or a member of it, is truncated, broken, or packed in a way that cannot be read."""


@dataclass(frozen=True)
class Member:
    """A file in an archive. `stream` can be read until the next member is asked for."""

    name: str
    stream: IO[bytes]


@dataclass(frozen=True)
class Refused:
    """A member that is not taken, with the reason."""

    name: str
    reason: str


def archive_format(head: bytes) -> str | None:
    """Format by the first 512 bytes: tar, zip, gzip, xz, bzip2 or zstd; None for anything else."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)


def members(archive: BinaryIO) -> Iterator[Member | Refused]:
    """Members of an archive in their order, links and devices and names that lead out refused one by one.

    A stream raises `Damaged` for a member that cannot be read; the next member may still be asked for.

    Raises:
        Damaged: the archive ends early or is broken; what came before was whole.
        OSError: the store cannot be read.
    """
    head = archive.read(512)
    archive.seek(0)
    form = archive_format(head)
    if form is None:
        raise Damaged("not an archive: neither tar (plain, gz, xz, bz2, zst) nor zip by its first bytes")
    with _reading():
        if form == "zip":
            yield from _zip_members(archive)
        else:
            with _decompressed(archive, form) as plain:
                yield from _tar_members(plain)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn what broken data raise into `Damaged`. What the system or the network raises keeps its type."""
    try:
        yield
    except Damaged:
        raise
    except ERRORS as error:
        raise Damaged(str(error) or type(error).__name__) from error
    except OSError as error:
        # gzip and bz2 say so of broken data, with no number from the system; zipfile seeks where broken offsets lead
        if error.errno not in (None, errno.EINVAL) or type(error) not in (OSError, gzip.BadGzipFile):
            raise
        raise Damaged(str(error)) from error


class _Content(io.RawIOBase):
    """The bytes of a member, opened at the first read. What is wrong with them is raised as `Damaged`, and kept."""

    def __init__(self, opener: Callable[[], IO[bytes] | None]) -> None:
        self._opener = opener
        self._stream: IO[bytes] | None = None
        self.damage: Damaged | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            with _reading():
                self._stream = self._stream or self._opener()
                block = self._stream.read(len(buffer)) if self._stream else b""
        except Damaged as error:
            self.damage = error
            raise
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if self._stream:
            self._stream.close()
        super().close()


class _StrictTarInfo(tarfile.TarInfo):
    """A tar header. `tarfile` takes one that it cannot read for the end of the archive; here only the end mark is the end."""

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        stream = cast("BinaryIO", tarfile.fileobj)
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:  # a block of zeros
            rest = iter(lambda: stream.read(BLOCK), b"")
            if any(block.strip(b"\0") for block in rest):
                raise ReadError("there is more after its end mark") from None
            raise
        except HeaderError as error:
            raise ReadError(f"at byte {stream.tell()}: {error}, and no end mark before") from error


def _tar_members(plain: IO[bytes]) -> Iterator[Member | Refused]:
    with tarfile.open(fileobj=plain, mode="r|", errors="surrogateescape", tarinfo=_StrictTarInfo) as tar:
        for info in tar:
            name = safe_member(info.name)
            if info.isdir():
                continue
            if name is None:
                yield Refused(_printable(info.name), "its name leads out of the archive")
            elif not info.isreg():
                yield Refused(name, "a link or a device, not a file")
            else:
                content = _Content(functools.partial(tar.extractfile, info))
                yield Member(name, cast("IO[bytes]", content))
                if content.damage:  # whatever comes next in a stream that is broken is not to be trusted
                    raise content.damage


def _zip_members(archive: BinaryIO) -> Iterator[Member | Refused]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            name = safe_member(info.filename)
            if info.is_dir():
                continue
            if name is None:
                yield Refused(_printable(info.filename), "its name leads out of the archive")
            elif stat.S_ISLNK(info.external_attr >> 16):
                yield Refused(name, "a link or a device, not a file")
            elif info.flag_bits & 1:
                yield Refused(name, "encrypted")
            else:
                with _Content(functools.partial(zipped.open, info)) as content:
                    yield Member(name, cast("IO[bytes]", content))


@contextlib.contextmanager
def _decompressed(archive: BinaryIO, form: str) -> Iterator[IO[bytes]]:
    if form == "tar":
        yield archive
    elif form == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(archive, read_across_frames=True) as plain:
            yield cast("IO[bytes]", plain)
    else:
        openers = {"gzip": gzip.open, "xz": lzma.open, "bzip2": bz2.open}
        with openers[form](archive, "rb") as plain:
            yield cast("IO[bytes]", plain)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
