"""Take a batch apart: recordings into the store under their content, metadata read, everything else named."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from podcast_assets.errors import BadInput
from podcast_assets.intake.archives import Damaged, Member, Refused, archive_format, members
from podcast_assets.intake.arrivals import INCOMING, Arrival
from podcast_assets.intake.metadata import METADATA_SUFFIXES, MetadataFile, NotMetadata, read_metadata
from podcast_assets.intake.names import is_hidden
from podcast_assets.store import Store, Stored

MEDIA_SUFFIXES = frozenset(
    (
        ".3gp .aac .ac3 .aif .aiff .alac .amr .ape .au .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov "
        ".mp2 .mp3 .mp4 .mpeg .mpg .mts .oga .ogg .ogv .opus .ts .wav .weba .webm .wma .wmv .wv"
    ).split()
)
"""Names that promise audio or video. What such a file really is, decoding tells."""

ARCHIVE_SUFFIXES = frozenset(".tar .gz .tgz .xz .txz .bz2 .zst .zip".split())


@dataclass(frozen=True)
class SourceFile:
    """A recording of a batch: its name there and where its bytes are kept."""

    name: str
    stored: Stored


@dataclass
class Unpacked:
    """What a batch holds."""

    files: list[SourceFile] = field(default_factory=list)
    metadata: list[MetadataFile] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Name → why it is not an episode."""
    broken: dict[str, str] = field(default_factory=dict)
    """Name → what is wrong with it; the rest of the batch goes on."""


def unpack(store: Store, arrival: Arrival) -> Unpacked:
    """Store every recording of a batch under its content and read its metadata; nothing that is wrong with one file stops it."""
    result = Unpacked()
    for file in (*arrival.files, *arrival.metadata):
        with store.open(f"{INCOMING}/{file.key}") as stream:
            _take_file(store, file.key, stream, result)
    return result


def _take_file(store: Store, key: str, stream: BinaryIO, result: Unpacked) -> None:
    """One file under `incoming/`: an archive is opened (one level deep), anything else is taken as it is."""
    name = key.split("/", 1)[-1]
    if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
        head = stream.read(512)
        stream.seek(0)
        if archive_format(head) is not None or "/" not in key:
            prefix = f"{name}/" if "/" in key else ""
            _take_archive(store, name, prefix, members(stream), result)
            return
    _take_member(store, Member(name, stream), result)


def _take_archive(store: Store, name: str, prefix: str, found: Iterator[Member | Refused], result: Unpacked) -> None:
    try:
        for item in found:
            member = f"{prefix}{item.name}"
            if isinstance(item, Refused):
                result.skipped[member] = item.reason
                continue
            try:
                _take_member(store, Member(member, item.stream), result)
            except Damaged as error:
                result.broken[member] = f"cut off or broken in its archive {name} ({error})"
    except Damaged as error:
        result.broken[name] = f"the archive is truncated or broken ({error}): what came before was taken"


def _take_member(store: Store, member: Member, result: Unpacked) -> None:
    suffix = PurePosixPath(member.name).suffix.lower()
    if is_hidden(member.name):
        result.skipped[member.name] = "a hidden file"
    elif suffix in METADATA_SUFFIXES:
        data = member.stream.read()
        try:
            result.metadata.append(MetadataFile(member.name, read_metadata(member.name, data)))
        except NotMetadata as error:
            result.skipped[member.name] = str(error)
        except BadInput as error:
            result.broken[member.name] = str(error)
    elif suffix in MEDIA_SUFFIXES:
        result.files.append(SourceFile(member.name, store.put_original(member.stream, suffix)))
    else:
        result.skipped[member.name] = "neither audio, video nor metadata by its name"
