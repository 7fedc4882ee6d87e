"""Unpacking of batches: recordings are stored by content, metadata are read, everything else is listed."""

import io
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from podcast_assets.common.regular_files import NotAFile
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.intake.archives.limits import GENEROUS, ArchiveLimits, Bomb, Meter
from podcast_assets.intake.archives.members import ArchiveMember, Damaged, RefusedMember, archive_format, read_members
from podcast_assets.intake.arrivals import INCOMING, Arrival, refused_files
from podcast_assets.intake.batch_metadata import MetadataSource, read_metadata
from podcast_assets.intake.content import HEAD, describe_other_content
from podcast_assets.intake.file_names import MEDIA_SUFFIXES, reason_to_skip, split_name
from podcast_assets.intake.metadata import KEY, METADATA_SUFFIXES, JoinedMetadata
from podcast_assets.intake.names import is_hidden
from podcast_assets.store.store import BLOCK, Store, StoredOriginal

ARCHIVE_SUFFIXES = frozenset(".tar .gz .tgz .xz .txz .bz2 .zst .zip".split())
_INNER_ARCHIVE = re.compile(r".+\.(tar|tar\.gz|tgz|tar\.xz|txz|tar\.bz2|tar\.zst|zip)", re.IGNORECASE)

_IN_MEMORY = 32 << 20
"""Bytes of a nested archive; larger ones go through a temporary file."""


@dataclass(frozen=True)
class SourceFile:
    """A recording of a batch: its name and the key of its bytes."""

    name: str
    stored: StoredOriginal


@dataclass
class UnpackedBatch:
    """Contents of a batch."""

    files: list[SourceFile] = field(default_factory=list)
    metadata: list[MetadataSource] = field(default_factory=list)
    """Files that may be metadata; `read_batch_metadata` reads them."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Name → reason why it is not an episode."""
    broken: dict[str, str] = field(default_factory=dict)
    """Name → error message. The rest of the batch is not affected."""
    identities: dict[str, str] = field(default_factory=dict)
    """Name → episode id, if it is not derived from name and bytes."""
    earlier: dict[str, list[str]] = field(default_factory=dict)
    """Name → SHA-256 of earlier content of its URL."""
    scratch: "tempfile.TemporaryDirectory[str] | None" = None
    """Folder with the metadata, deleted together with this object."""
    _recorded: set[str] = field(default_factory=set)
    _times: Counter[str] = field(default_factory=Counter)

    def skip(self, name: str, reason: str) -> None:
        """Record a file that is not an episode."""
        self.skipped[self._line(name)] = reason

    def fail(self, name: str, reason: str) -> None:
        """Record a file that cannot be read."""
        self.broken[self._line(name)] = reason

    def _line(self, name: str) -> str:
        """Number several files of one name."""
        line = name
        while line in self._recorded:
            self._times[name] += 1
            line = f"{name} ({self._times[name] + 1})"
        self._recorded.add(line)
        return line


def unpack(store: Store, arrival: Arrival, *, limits: ArchiveLimits = GENEROUS) -> UnpackedBatch:
    """Store every recording of a batch by its content, and copy its metadata. An error in one file does not stop the others.

    Args:
        store: store with the batch, which also receives the recordings.
        arrival: the batch.
        limits: limits on what each archive may unpack to.
    """
    unpacker = _Unpacker(store, limits, UnpackedBatch())
    for name, reason in refused_files(store, arrival).items():
        unpacker.result.skip(name, reason)
    for file in (*arrival.files, *arrival.metadata):
        try:
            stream = store.open(f"{INCOMING}/{file.key}")
        except NotAFile as error:  # it was replaced after it was listed
            unpacker.result.skip(file.key.split("/", 1)[-1], str(error))
        except PermissionError:
            unpacker.result.fail(file.key.split("/", 1)[-1], "this user may not read it: change its permissions")
        else:
            with stream:
                unpacker.unpack_file(file.key, stream)
    return unpacker.result


def read_batch_metadata(unpacked: UnpackedBatch, key: str = KEY) -> JoinedMetadata:
    """Read the metadata of a batch and join them to its recordings.

    Args:
        unpacked: contents of the batch; files that are no metadata, or cannot be read, are recorded in it.
        key: column of the metadata that names files.
    """
    found = read_metadata([file.name for file in unpacked.files], unpacked.metadata, key)
    for name, reason in found.skipped:
        unpacked.skip(name, reason)
    for name, reason in found.broken:
        unpacked.fail(name, reason)
    unpacked.broken.update(found.joined.broken)
    return found.joined


@dataclass(frozen=True)
class _Unpacker:
    """Unpacks the files of a batch one by one."""

    store: Store
    limits: ArchiveLimits
    result: UnpackedBatch
    _taken: set[str] = field(default_factory=set)
    """Names of recordings."""

    def unpack_file(self, key: str, stream: BinaryIO) -> None:
        """Unpack a file under `incoming/` if it is an archive, else take it as it is."""
        name = key.split("/", 1)[-1]
        if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
            head = stream.read(512)
            stream.seek(0)
            if archive_format(head) is not None or "/" not in key:
                self._unpack_archive(name, f"{name}/" if "/" in key else "", stream)
                return
        self._add_member(ArchiveMember(name, stream))

    def _unpack_archive(
        self, name: str, prefix: str, archive: BinaryIO, meter: Meter | None = None, depth: int = 1
    ) -> None:
        meter = meter or Meter(self.limits, _file_size(archive))
        try:
            for item in read_members(archive, self.limits, meter):
                member = f"{prefix}{item.name}"
                if isinstance(item, RefusedMember):
                    self.result.skip(member, item.reason)
                    continue
                try:
                    if _INNER_ARCHIVE.fullmatch(member) and not is_hidden(member):
                        self._unpack_inner_archive(ArchiveMember(member, item.stream), meter, depth + 1)
                    else:
                        self._add_member(ArchiveMember(member, item.stream))
                except Bomb:
                    raise
                except Damaged as error:
                    self.result.fail(member, f"cut off or broken in its archive {name} ({error})")
        except Bomb as error:
            if depth > 1:
                raise
            self.result.fail(
                name,
                f"the archive was unpacked only in part: {error}. The files before that were taken",
            )
        except Damaged as error:
            self.result.fail(
                name,
                f"the archive is truncated or broken ({error}); the files before that were taken",
            )

    def _unpack_inner_archive(self, member: ArchiveMember, meter: Meter, depth: int) -> None:
        """Unpack an archive inside an archive."""
        if depth > self.limits.depth:
            self.result.skip(
                member.name,
                f"an archive inside {depth - 1} others is not unpacked: unpack one of them yourself",
            )
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix=SCRATCH_PREFIX) as copy:
            shutil.copyfileobj(member.stream, copy, BLOCK)
            copy.seek(0)
            self._unpack_archive(member.name, f"{member.name}/", cast("BinaryIO", copy), meter, depth)

    def _add_member(self, member: ArchiveMember) -> None:
        _, suffix = split_name(member.name)
        if reason := reason_to_skip(member.name, METADATA_SUFFIXES):
            self.result.skip(member.name, reason)
        elif member.name in self._taken:
            self.result.skip(member.name, "another file of the same name was taken already")
        elif suffix in METADATA_SUFFIXES:
            self._add_metadata(member)
        elif suffix in MEDIA_SUFFIXES:
            self._add_recording(member.name, member.stream, suffix)
        else:
            self._add_if_media(member)

    def _add_recording(self, name: str, stream: IO[bytes], suffix: str) -> None:
        self.result.files.append(SourceFile(name, self.store.put_original(stream, suffix)))
        self._taken.add(name)

    def _add_if_media(self, member: ArchiveMember) -> None:
        """Take a file whose name says nothing if it begins like audio or video."""
        head = _read_fully(member.stream, HEAD)
        if what := describe_other_content(head):
            self.result.skip(member.name, f"neither audio, video nor metadata by its content: {what}")
        else:
            self._add_recording(member.name, cast("IO[bytes]", _Rejoined(head, member.stream)), "")

    def _add_metadata(self, member: ArchiveMember) -> None:
        """Copy a file that may be metadata to a file of its own."""
        if self.result.scratch is None:
            self.result.scratch = tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX)
        path = Path(self.result.scratch.name) / str(len(self.result.metadata))
        with path.open("wb") as copy:
            shutil.copyfileobj(member.stream, copy, BLOCK)
        self.result.metadata.append(MetadataSource(member.name, path))


class _Rejoined(io.RawIOBase):
    """A stream with the bytes in front that were already read from it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1, /) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(size)


def _read_fully(stream: IO[bytes], size: int) -> bytes:
    """Read as many bytes, fewer only at the end."""
    data = stream.read(size)
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def _file_size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size
