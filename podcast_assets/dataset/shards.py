"""Sealing samples into shards: deterministic WebDataset tars, two members per sample, and reading them back.

USTAR with nothing in a header that differs between machines or days; `{key}.json` then `{key}.{audio suffix}`, adjacent.
So the same samples give the same bytes, and datasets, webdataset and NeMo all read them.
"""

import contextlib
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from podcast_assets.store import Store

MAX_NAME = 100
"""Bytes that a USTAR header has for a name without a prefix."""


@dataclass(frozen=True)
class Sample:
    """One sample as it goes into a shard."""

    key: str
    group: str
    """Folder of its shard: `data/<language>/<split>`."""
    json: bytes
    audio: bytes
    suffix: str
    """Of the audio member, without the dot."""


@dataclass(frozen=True)
class Placed:
    """Where a sample lies."""

    key: str
    shard: str
    audio_offset: int
    audio_size: int
    audio_sha256: str
    json_sha256: str


@dataclass(frozen=True)
class Shard:
    """A sealed shard; `path` is relative to the folder that was sealed into."""

    path: str
    sha256: str
    bytes: int
    samples: int


@dataclass(frozen=True)
class Sealed:
    """Shards and the place of every sample in them, in order."""

    shards: list[Shard]
    placed: list[Placed]


def seal(store: Store, folder: str, samples: Iterable[Sample], *, shard_bytes: int) -> Sealed:
    """Write samples into shards under a folder of the store: `<group>/audio_<n>.tar`, a new one whenever `shard_bytes` is reached.

    A shard appears whole or not at all. Memory holds one sample.
    """
    shards: list[Shard] = []
    placed: list[Placed] = []
    with contextlib.ExitStack() as stack:
        writers: dict[str, _ShardWriter] = {}
        numbers: dict[str, int] = {}
        for sample in samples:
            writer = writers.get(sample.group)
            if writer is None:
                number = numbers[sample.group] = numbers.get(sample.group, -1) + 1
                path = f"{sample.group}/audio_{number:06d}.tar"
                writer = writers[sample.group] = _ShardWriter(store, f"{folder}/{path}", path, stack)
            placed.append(writer.add(sample))
            if writer.size >= shard_bytes:
                shards.append(writers.pop(sample.group).close())
        shards += [writers[group].close() for group in sorted(writers)]
    return Sealed(sorted(shards, key=lambda s: s.path), placed)


class _HashingFile:
    """What tarfile writes to: it hashes and counts the bytes on their way."""

    def __init__(self, target: BinaryIO) -> None:
        self.target, self.sha256, self.size = target, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.target.write(data)

    def tell(self) -> int:
        return self.size


class _ShardWriter:
    """One open shard."""

    def __init__(self, store: Store, key: str, path: str, stack: contextlib.ExitStack) -> None:
        # closed by close(); if sealing fails before that, the outer stack closes it with the error, and no shard appears
        self.file = contextlib.ExitStack()
        stack.push(self.file.__exit__)
        self.out = _HashingFile(self.file.enter_context(store.writing(key)))
        self.tar = tarfile.open(fileobj=cast("BinaryIO", self.out), mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self.path, self.samples = path, 0

    @property
    def size(self) -> int:
        return self.out.size

    def add(self, sample: Sample) -> Placed:
        self._member(f"{sample.key}.json", sample.json)
        offset = self._member(f"{sample.key}.{sample.suffix}", sample.audio)
        self.samples += 1
        return Placed(sample.key, self.path, offset, len(sample.audio), _sha256(sample.audio), _sha256(sample.json))

    def _member(self, name: str, data: bytes) -> int:
        if len(name.encode()) > MAX_NAME or name.count(".") != 1:
            raise ValueError(f"{name!r} cannot be a member's name: over {MAX_NAME} bytes, or a dot in the key")
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o444
        self.tar.addfile(info, io.BytesIO(data))
        return self.out.size - _padded(len(data))

    def close(self) -> Shard:
        self.tar.close()
        self.file.close()
        return Shard(self.path, self.out.sha256.hexdigest(), self.out.size, self.samples)


def read_back(shard: BinaryIO) -> tuple[str, list[Placed]]:
    """SHA-256 of a shard's bytes and the samples that it really holds (`Placed.shard` is empty).

    Raises:
        ValueError: it is truncated, or is not made of pairs of JSON and audio.
    """
    digest = hashlib.sha256()
    while block := shard.read(1 << 20):
        digest.update(block)
    shard.seek(0)
    found: list[Placed] = []
    try:
        with tarfile.open(fileobj=shard, mode="r:") as tar:
            for json_info, audio_info in _pairs(tar):
                key = json_info.name.removesuffix(".json")
                if json_info.name == key or not audio_info.name.startswith(f"{key}."):
                    raise ValueError(f"{json_info.name} and {audio_info.name} are not a pair")
                note, audio = _content(tar, json_info), _content(tar, audio_info)
                found.append(Placed(key, "", audio_info.offset_data, len(audio), _sha256(audio), _sha256(note)))
    except tarfile.TarError as error:
        raise ValueError(f"truncated or broken tar: {error}") from error
    return digest.hexdigest(), found


def _pairs(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarInfo]]:
    infos = iter(tar)
    for first in infos:
        second = next(infos, None)
        if second is None:
            raise ValueError(f"{first.name} has no second member")
        yield first, second


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(info)
    data = stream.read() if stream else b""
    if len(data) != info.size:
        raise ValueError(f"{info.name} is cut off: {len(data)} of {info.size} bytes")
    return data


def split_of(identity: str) -> str:
    """Split of a podcast (or of an episode without one) by a hash of its id: 96 % train, 2 % validation, 2 % test.

    Never by segment: a voice or a show must not be on both sides.
    """
    part = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") % 100
    return "test" if part < 2 else "validation" if part < 4 else "train"


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
