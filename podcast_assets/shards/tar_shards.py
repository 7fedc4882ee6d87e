"""Writing and reading shards: deterministic WebDataset tars, two members per sample, and reading them back.

`{key}.json` then `{key}.{audio suffix}`, adjacent, with nothing in a header that differs between machines or days: the same samples
give the same bytes, and datasets, webdataset and NeMo all read them.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from podcast_assets.shards.ustar import END, BrokenTar, TarMember, member_around, read_members
from podcast_assets.store.store import BLOCK, Store

SHUFFLE_SEED = "podcast-assets-1"
"""Seed of the order of samples; changing it reorders every shard."""

_TOGETHER = 1 << 18
"""Bytes written and hashed at a time, small enough to stay in the processor's cache in between."""

Bytes = bytes | memoryview


@dataclass(frozen=True)
class Sample:
    """One sample as it goes into a shard."""

    key: str
    group: str
    """Folder of its shard: `data/<language>/<split>`."""
    suffix: str
    """Suffix of the audio member, without the dot."""
    json: bytes
    json_sha256: str
    audio: Iterable[Bytes]
    """Audio member in pieces, iterated once."""
    audio_size: int
    """Total size of the pieces."""
    audio_sha256: str


@dataclass(frozen=True)
class SamplePlacement:
    """Position of a sample in a shard: the data of its members, in bytes from the start of the tar."""

    key: str
    shard: str
    json_offset: int
    json_size: int
    json_sha256: str
    audio_offset: int
    audio_size: int
    audio_sha256: str


@dataclass(frozen=True)
class Shard:
    """A sealed shard; `path` is relative to the folder passed to `write_shards`."""

    path: str
    sha256: str
    bytes: int
    samples: int


@dataclass(frozen=True)
class SealedShards:
    """Sealed shards and the placement of every sample, in order."""

    shards: list[Shard]
    placed: list[SamplePlacement]


def shuffle_key(key: str) -> bytes:
    """Sort key that shuffles samples. It depends only on the sample's key, so that the same content has the same order."""
    return hashlib.sha256(f"{SHUFFLE_SEED}/{key}".encode()).digest()


def write_shards(store: Store, folder: str, samples: Iterable[Sample], *, shard_bytes: int) -> SealedShards:
    """Write samples into shards under a folder of the store: `<group>/audio_<n>.tar`, a new one whenever `shard_bytes` is reached.

    A shard appears complete and synced to disk, or not at all. It is hashed while it is written. Memory holds one sample.

    Args:
        store: store to write to.
        folder: folder of the shards.
        samples: samples in their order, grouped by `group`.
        shard_bytes: size at which a shard is closed.

    Raises:
        ValueError: the samples of a group are not consecutive, a key contains a dot, a name is too long, or a sample's audio
            does not have the declared size.
        StoreTrouble: the store is full or read-only, or cannot be reached.
    """
    shards: list[Shard] = []
    placed: list[SamplePlacement] = []
    groups: set[str] = set()
    for group, members in itertools.groupby(samples, key=lambda s: s.group):
        if group in groups:
            raise ValueError(f"the samples of {group} do not come one after the other")
        groups.add(group)
        for number, first in enumerate(members):  # the inner loop takes from `members` too, up to the end of a shard
            path = f"{group}/audio_{number:06d}.tar"
            with store.writing(f"{folder}/{path}") as file:
                out = _ShardWriter(file)
                first_index = len(placed)
                placed.append(_add_sample(out, first, path))
                while out.size < shard_bytes and (sample := next(members, None)) is not None:
                    placed.append(_add_sample(out, sample, path))
                out.write(END)
                out.flush()
            shards.append(Shard(path, out.sha256.hexdigest(), out.size, len(placed) - first_index))
    return SealedShards(sorted(shards, key=lambda s: s.path), placed)


class _ShardWriter:
    """Writer of a shard that buffers small pieces, splits large ones, and writes and hashes them together."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256, self.size = hashlib.sha256(), 0
        self._file, self._pieces, self._buffered = file, list[Bytes](), 0

    def write(self, *pieces: Bytes) -> None:
        """Append bytes."""
        for piece in pieces:
            self.size += len(piece)
            if len(piece) > _TOGETHER:
                self.flush()
                whole = memoryview(piece)
                for begin in range(0, len(whole), _TOGETHER):
                    self._write_block(whole[begin : begin + _TOGETHER])
                continue
            self._pieces.append(piece)
            self._buffered += len(piece)
        if self._buffered >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write the buffer to the file."""
        self._write_block(b"".join(self._pieces))
        self._pieces, self._buffered = [], 0

    def _write_block(self, block: Bytes) -> None:
        self._file.write(block)
        self.sha256.update(block)


def _add_sample(out: _ShardWriter, sample: Sample, path: str) -> SamplePlacement:
    note, audio = f"{sample.key}.json", f"{sample.key}.{sample.suffix}"
    for name in (note, audio):
        if name.count(".") != 1:
            raise ValueError(f"{name!r} cannot be a member's name: a dot in the key makes readers merge samples")
    before, after = member_around(note, len(sample.json))
    json_offset = out.size + len(before)
    out.write(before, sample.json, after)
    before, after = member_around(audio, sample.audio_size)
    audio_offset = out.size + len(before)
    out.write(before)
    for piece in sample.audio:
        out.write(piece)
    if out.size - audio_offset != sample.audio_size:
        raise ValueError(f"{audio} has {out.size - audio_offset:,} bytes instead of {sample.audio_size:,}")
    out.write(after)
    return SamplePlacement(
        sample.key,
        path,
        json_offset,
        len(sample.json),
        sample.json_sha256,
        audio_offset,
        sample.audio_size,
        sample.audio_sha256,
    )


def read_shard(shard: BinaryIO) -> tuple[str, list[SamplePlacement]]:
    """Read a shard: SHA-256 of its bytes and the samples that it contains (`SamplePlacement.shard` is empty).

    Raises:
        ValueError: it is truncated or damaged, or is not made of pairs of JSON and audio.
    """
    members = list(read_members(shard))
    shard.seek(0)
    whole = hashlib.sha256()
    digests = []
    for member in members:
        own = hashlib.sha256()
        _read_exactly(shard, member.data_offset - shard.tell(), whole)
        _read_exactly(shard, member.size, whole, own)
        digests.append(own.hexdigest())
    while block := shard.read(BLOCK):
        whole.update(block)
    hashed = iter(zip(members, digests, strict=True))
    return whole.hexdigest(), [_read_pair(note, next(hashed, None)) for note in hashed]


def _read_exactly(file: BinaryIO, size: int, *hashes: "hashlib._Hash") -> None:
    while size:
        block = file.read(min(size, _TOGETHER))
        if not block:
            raise BrokenTar(f"it ends {size:,} bytes too early: it was cut off while it was read")
        for each in hashes:
            each.update(block)
        size -= len(block)


def _read_pair(note: tuple[TarMember, str], audio: tuple[TarMember, str] | None) -> SamplePlacement:
    if audio is None:
        raise BrokenTar(f"{note[0].name} has no audio beside it")
    (first, first_sha256), (second, second_sha256) = note, audio
    key = first.name.removesuffix(".json")
    if first.name == key or not second.name.startswith(f"{key}."):
        raise BrokenTar(f"{first.name} and {second.name} are not a pair")
    return SamplePlacement(
        key, "", first.data_offset, first.size, first_sha256, second.data_offset, second.size, second_sha256
    )


def read_pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Read the next bytes of a file in pieces of at most 1 MB."""
    while size and (block := file.read(min(size, BLOCK))):
        yield block
        size -= len(block)


def split_of(identity: str) -> str:
    """Split of a podcast (or of an episode without one) by a hash of its id: 96 % train, 2 % validation, 2 % test.

    Never by segment: a voice or a show must not be on both sides.
    """
    part = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % 100
    return "test" if part < 2 else "validation" if part < 4 else "train"
