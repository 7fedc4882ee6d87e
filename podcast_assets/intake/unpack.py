"""Unpacking of a batch: store recordings by content, read metadata and list everything else."""

import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.archives.limits import GENEROUS, ArchiveLimits, Bomb, Meter
from podcast_assets.intake.archives.members import ArchiveMember, Damaged, RefusedMember, archive_format, read_members
from podcast_assets.intake.arrivals import INCOMING, Arrival
from podcast_assets.intake.metadata import KEY, METADATA_SUFFIXES, MetadataFile, NotMetadata, open_metadata
from podcast_assets.intake.names import is_hidden
from podcast_assets.store.store import BLOCK, SCRATCH_PREFIX, Store, StoredOriginal

MEDIA_SUFFIXES = frozenset(
    (
        ".3gp .aac .ac3 .aif .aiff .alac .amr .ape .au .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov "
        ".mp2 .mp3 .mp4 .mpeg .mpg .mts .oga .ogg .ogv .opus .ts .wav .weba .webm .wma .wmv .wv"
    ).split()
)
"""Names that promise audio or video. What such a file really is, decoding tells."""

ARCHIVE_SUFFIXES = frozenset(".tar .gz .tgz .xz .txz .bz2 .zst .zip".split())
_INNER_ARCHIVE = re.compile(r".+\.(tar|tar\.gz|tgz|tar\.xz|txz|tar\.bz2|tar\.zst|zip)", re.IGNORECASE)

_IN_MEMORY = 32 << 20
"""Bytes of metadata, or of an archive inside an archive; a larger one goes through a temporary file."""


@dataclass(frozen=True)
class SourceFile:
    """A recording of a batch: its name and the key of its bytes."""

    name: str
    stored: StoredOriginal


@dataclass
class UnpackedBatch:
    """Contents of a batch."""

    files: list[SourceFile] = field(default_factory=list)
    metadata: list[MetadataFile] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Name → why it is not an episode."""
    broken: dict[str, str] = field(default_factory=dict)
    """Name → what is wrong with it; the rest of the batch goes on."""
    identities: dict[str, str] = field(default_factory=dict)
    """Name → episode id, where something else than name and bytes decides it."""
    earlier: dict[str, list[str]] = field(default_factory=dict)
    """Name → SHA-256 of other bytes that its URL gave before."""


def unpack(store: Store, arrival: Arrival, *, limits: ArchiveLimits = GENEROUS, key: str = KEY) -> UnpackedBatch:
    """Store every recording of a batch under its content and read its metadata; nothing that is wrong with one file stops it.

    Args:
        store: where the batch lies, and its recordings go.
        arrival: the batch.
        limits: what each archive may unpack to.
        key: column of the metadata that names files.
    """
    taking = _Unpacker(store, limits, key, UnpackedBatch())
    for file in (*arrival.files, *arrival.metadata):
        with store.open(f"{INCOMING}/{file.key}") as stream:
            taking.file(file.key, stream)
    return taking.result


@dataclass(frozen=True)
class _Unpacker:
    """Unpacks the files of a batch one by one."""

    store: Store
    limits: ArchiveLimits
    key: str
    result: UnpackedBatch
    _taken: set[str] = field(default_factory=set)
    """Names of recordings and metadata."""
    _noted: set[str] = field(default_factory=set)
    _times: Counter[str] = field(default_factory=Counter)

    def file(self, key: str, stream: BinaryIO) -> None:
        """One file under `incoming/`: an archive is opened, anything else is taken as it is."""
        name = key.split("/", 1)[-1]
        if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
            head = stream.read(512)
            stream.seek(0)
            if archive_format(head) is not None or "/" not in key:
                self._take_archive(name, f"{name}/" if "/" in key else "", stream)
                return
        self._take_member(ArchiveMember(name, stream))

    def _take_archive(
        self, name: str, prefix: str, archive: BinaryIO, meter: Meter | None = None, depth: int = 1
    ) -> None:
        meter = meter or Meter(self.limits, _file_size(archive))
        try:
            for item in read_members(archive, self.limits, meter):
                member = f"{prefix}{item.name}"
                if isinstance(item, RefusedMember):
                    self._note_skipped(self.result.skipped, member, item.reason)
                    continue
                try:
                    if _INNER_ARCHIVE.fullmatch(member) and not is_hidden(member):
                        self._take_inner_archive(ArchiveMember(member, item.stream), meter, depth + 1)
                    else:
                        self._take_member(ArchiveMember(member, item.stream))
                except Bomb:
                    raise
                except Damaged as error:
                    self._note_skipped(self.result.broken, member, f"cut off or broken in its archive {name} ({error})")
        except Bomb as error:
            if depth > 1:
                raise
            self._note_skipped(
                self.result.broken, name, f"the archive was opened in part: {error}. What came before was taken"
            )
        except Damaged as error:
            self._note_skipped(
                self.result.broken, name, f"the archive is truncated or broken ({error}): what came before was taken"
            )

    def _take_inner_archive(self, member: ArchiveMember, meter: Meter, depth: int) -> None:
        """An archive inside an archive."""
        if depth > self.limits.depth:
            self._note_skipped(
                self.result.skipped,
                member.name,
                f"{depth - 1} archives around an archive: it is not opened; unpack one",
            )
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix=SCRATCH_PREFIX) as copy:
            shutil.copyfileobj(member.stream, copy, BLOCK)
            copy.seek(0)
            self._take_archive(member.name, f"{member.name}/", cast("BinaryIO", copy), meter, depth)

    def _take_member(self, member: ArchiveMember) -> None:
        suffix = PurePosixPath(member.name).suffix.lower()
        if is_hidden(member.name):
            self._note_skipped(self.result.skipped, member.name, "a hidden file")
        elif suffix not in METADATA_SUFFIXES | MEDIA_SUFFIXES:
            self._note_skipped(self.result.skipped, member.name, "neither audio, video nor metadata by its name")
        elif member.name in self._taken:
            self._note_skipped(self.result.skipped, member.name, "a second file of this name: the first one was taken")
        elif suffix in MEDIA_SUFFIXES:
            self.result.files.append(SourceFile(member.name, self.store.put_original(member.stream, suffix)))
            self._taken.add(member.name)
        else:
            self._take_metadata(member)

    def _take_metadata(self, member: ArchiveMember) -> None:
        data, held = _spool(member.stream)
        try:
            self.result.metadata.append(open_metadata(member.name, data, self.key, held=held))
        except NotMetadata as error:
            self._note_skipped(self.result.skipped, member.name, str(error))
        except BadInput as error:
            self._note_skipped(self.result.broken, member.name, str(error))
        else:
            self._taken.add(member.name)

    def _note_skipped(self, where: dict[str, str], name: str, reason: str) -> None:
        """Record the status of a file; each of several of one name has its own line."""
        line = name
        while line in self._noted:
            self._times[name] += 1
            line = f"{name} ({self._times[name] + 1})"
        self._noted.add(line)
        where[line] = reason


def _spool(stream: IO[bytes]) -> tuple[bytes | Path, IO[bytes] | None]:
    """The bytes of a stream, or a file with them that goes away with the object beside it."""
    data = stream.read(_IN_MEMORY)
    while len(data) < _IN_MEMORY and (more := stream.read(_IN_MEMORY - len(data))):
        data += more
    if len(data) < _IN_MEMORY:
        return data, None
    file = tempfile.NamedTemporaryFile(prefix=SCRATCH_PREFIX)  # noqa: SIM115  # its rows are read later
    file.write(data)
    shutil.copyfileobj(stream, file, BLOCK)
    file.flush()
    return Path(file.name), cast("IO[bytes]", file)


def _file_size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size
