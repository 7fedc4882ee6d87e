"""Archives as a stream of members: nothing is unpacked to disk, so no name in an archive can lead anywhere."""

import bz2
import contextlib
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from podcast_assets.errors import BadInput
from podcast_assets.intake.names import safe_member

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, BadInput)
"""What reading a truncated or broken archive raises (zstd's own error is turned into BadInput)."""

MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


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

    Raises:
        DAMAGE: the archive ends early or is broken; what came before was whole.
    """
    head = archive.read(512)
    archive.seek(0)
    form = archive_format(head)
    if form is None:
        raise BadInput("not an archive: neither tar (plain, gz, xz, bz2, zst) nor zip by its first bytes")
    if form == "zip":
        yield from _zip_members(archive)
    else:
        with _decompressed(archive, form) as plain:
            yield from _tar_members(plain)


def _tar_members(plain: IO[bytes]) -> Iterator[Member | Refused]:
    with tarfile.open(fileobj=plain, mode="r|", errors="surrogateescape") as tar:
        for info in tar:
            name = safe_member(info.name)
            if info.isdir():
                continue
            if name is None:
                yield Refused(_printable(info.name), "its name leads out of the archive")
            elif not info.isreg():
                yield Refused(name, "a link or a device, not a file")
            else:
                yield Member(name, cast("IO[bytes]", tar.extractfile(info)))


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
                with zipped.open(info) as stream:
                    yield Member(name, stream)


@contextlib.contextmanager
def _decompressed(archive: BinaryIO, form: str) -> Iterator[IO[bytes]]:
    if form == "tar":
        yield archive
    elif form == "zstd":
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(archive) as plain:
                yield cast("IO[bytes]", plain)
        except zstandard.ZstdError as error:
            raise BadInput(f"broken zstd data: {error}") from error
    else:
        openers = {"gzip": gzip.open, "xz": lzma.open, "bzip2": bz2.open}
        with openers[form](archive, "rb") as plain:
            yield cast("IO[bytes]", plain)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
