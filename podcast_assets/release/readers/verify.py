"""Verification of a published dataset: every shard against `shards.jsonl` and the tables.

Each shard is read once, as a stream; memory holds a block, the places of one shard's samples, and a few tables.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from podcast_assets.release.published import EPISODES, LIST, SEGMENTS, DamagedList, PublishedShard
from podcast_assets.release.readers.opened import PublishedDataset, SampleIndex, read_shard_list
from podcast_assets.shards.ustar import BLOCK as BLOCK_OF_TAR
from podcast_assets.shards.ustar import END, padded_size
from podcast_assets.store.store import BLOCK

KEYS = {SEGMENTS: "segment_id", EPISODES: "episode_id"}
_PLACE = ("json_offset", "json_size", "json_sha256", "audio_offset", "audio_size", "audio_sha256")
_SHOWN = 3
"""Samples that are named of many."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a dataset, in one line."""

    path: str
    what: str


@dataclass
class VerificationResult:
    """Result of a verification: what was checked, and the problems found."""

    shards: int = 0
    samples: int = 0
    bytes: int = 0
    hours: float = 0.0
    """Of segments; whole episodes hold the same once more."""
    troubles: list[Problem] = field(default_factory=list)


def verify_dataset(
    dataset: PublishedDataset, watch: Callable[[PublishedShard, list[Problem]], None] = lambda shard, troubles: None
) -> VerificationResult:
    """Verify a whole dataset against its list and tables.

    Args:
        dataset: in a folder or on the Hub.
        watch: is told of each shard, with what is wrong with it.

    Raises:
        Misconfigured: it has no list of shards, or cannot be read.
    """
    found = VerificationResult()
    try:
        shards = read_shard_list(dataset)
    except DamagedList as error:
        found.troubles.append(Problem(LIST, str(error)))
        return found
    files = dataset.files()
    tables = SampleIndex(
        dataset, [p for p in files if p.startswith(("metadata/", "episodes/")) and p.endswith(".parquet")]
    )
    known = {s.path for s in shards}
    found.troubles += [
        Problem(p, f"extra: {LIST} does not list it") for p in sorted(files) if p.endswith(".tar") and p not in known
    ]
    for path in sorted(set(tables.shards) - known):
        found.troubles += [
            Problem(table, f"rows of {path}, which {LIST} does not list") for table in tables.shards[path]
        ]
    seen: set[str] = set()
    for shard in sorted(shards, key=lambda s: s.path):
        troubles = [Problem(shard.path, what) for what in _verify_shard(dataset, files, tables, shard)]
        if shard.path in seen:
            troubles.append(Problem(shard.path, f"{LIST} lists it twice"))
        seen.add(shard.path)
        found.troubles += troubles
        found.shards += 1
        found.samples += shard.samples
        found.bytes += files.get(shard.path, 0)
        found.hours += shard.hours if shard.grain == SEGMENTS else 0.0
        watch(shard, troubles)
    found.troubles += [Problem(path, f"cannot be read: {why}") for path, why in sorted(tables.unreadable.items())]
    return found


def _verify_shard(
    dataset: PublishedDataset, files: Mapping[str, int], tables: SampleIndex, shard: PublishedShard
) -> Iterator[str]:
    """Problems of a shard."""
    size = files.get(shard.path)
    if size is None:
        yield "missing"
        return
    if size != shard.bytes:
        yield f"{'truncated' if size < shard.bytes else 'too long'}: {size:,} bytes, {LIST} says {shard.bytes:,}"
        return
    with dataset.open(shard.path) as f:
        sha256, samples, broken = read_samples(f)
    if sha256 != shard.sha256:
        yield f"changed: its sha256 is {sha256[:12]}…, {LIST} says {shard.sha256[:12]}…"
    if broken:
        yield broken
        return
    if len(samples) != shard.samples:
        yield f"it holds {len(samples)} samples, {LIST} says {shard.samples}"
    yield from _compare_with_tables(samples, tables, shard)


def _compare_with_tables(
    samples: Mapping[str, "SampleHashes"], tables: SampleIndex, shard: PublishedShard
) -> Iterator[str]:
    key = KEYS[shard.grain]
    rows = tables.rows(shard.path, (key, "shard_sha256", *_PLACE))
    if rows.is_empty():
        yield "missing rows: no table speaks of it"
        return
    told = {str(row[key]): row for row in rows.iter_rows(named=True)}
    if len(told) < rows.height:
        yield f"{rows.height - len(told)} rows more than once"
    if lost := [s for s in samples if s not in told]:
        yield f"missing rows: no table speaks of {_name_samples(lost)}"
    if lost := [s for s in told if s not in samples]:
        yield f"missing samples: tables speak of {_name_samples(lost)}"
    for name in (n for n in _PLACE if n in rows.columns):
        if wrong := [s for s, sample in samples.items() if s in told and getattr(sample, name) != told[s][name]]:
            yield f"{name} differs from the table: {_name_samples(wrong)}"
    if "shard_sha256" in rows.columns and set(rows["shard_sha256"].unique()) != {shard.sha256}:
        yield f"the tables have another sha256 for it than {LIST}"


@dataclass(frozen=True, slots=True)
class SampleHashes:
    """Position and hashes of a sample as read from a shard."""

    json_offset: int
    json_size: int
    json_sha256: str
    audio_offset: int
    audio_size: int
    audio_sha256: str


def read_samples(stream: BinaryIO) -> tuple[str, dict[str, SampleHashes], str | None]:
    """SHA-256 of a shard, its samples by key as far as they can be read, and what ends the reading where something does."""
    hashed = _HashingReader(stream)
    samples: dict[str, SampleHashes] = {}
    trouble: str | None = None
    note: tuple[str, int, int, str] | None = None
    try:
        for member in _read_members(hashed):
            key, _, suffix = member.name.rpartition(".")
            if suffix == "json" and note is None:
                note = key, member.offset, member.size, member.sha256
            elif note is None or note[0] != key or suffix == "json" or key in samples:
                start = member.offset - BLOCK_OF_TAR
                trouble = f"{member.name} at byte {start:,} is not where it belongs: a JSON, then its audio"
                break
            else:
                samples[key] = SampleHashes(*note[1:], member.offset, member.size, member.sha256)
                note = None
        if note and not trouble:
            trouble = f"{note[0]} has no audio"
    except (tarfile.TarError, EOFError) as error:
        trouble = f"no tar that can be read, after {len(samples)} samples: {error}"
    hashed.rest()
    return hashed.sha256.hexdigest(), samples, trouble


@dataclass(frozen=True, slots=True)
class _HashedMember:
    name: str
    offset: int
    """Of its data."""
    size: int
    sha256: str


def _read_members(hashed: "_HashingReader") -> Iterator[_HashedMember]:
    """The members of a tar from its beginning to its end. `tarfile` reads streams too, at ten times the cost where
    members are small.

    Raises:
        TarError: something else than the header of a regular file is where one should be.
        EOFError: it is cut off.
    """
    while (block := b"".join(hashed.pieces(BLOCK_OF_TAR))) != END[:BLOCK_OF_TAR]:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if not header.isreg():
            raise tarfile.TarError(f"{header.name!r} is no regular file")
        offset, digest = hashed.position, hashlib.sha256()
        for piece in hashed.pieces(header.size):
            digest.update(piece)
        for _ in hashed.pieces(padded_size(header.size) - header.size):
            pass
        yield _HashedMember(header.name, offset, header.size, digest.hexdigest())


class _HashingReader:
    """A stream that is hashed while it is read in large blocks, and given out in pieces that are not copied."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()
        self._block = memoryview(b"")
        self.position = 0
        """Of the next byte that is given out."""

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Read `size` bytes in pieces.

        Raises:
            EOFError: there are fewer.
        """
        while size:
            if not self._block:
                self._block = memoryview(self._read_block())
            if not self._block:
                raise EOFError(f"it ends at byte {self.position:,}")
            piece = self._block[:size]
            self._block = self._block[len(piece) :]
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def rest(self) -> None:
        """Hash what is left."""
        while self._read_block():
            pass

    def _read_block(self) -> bytes:
        block = self._stream.read(BLOCK)
        self.sha256.update(block)
        return block


def _name_samples(samples: list[str]) -> str:
    rest = f" and {len(samples) - _SHOWN} more" if len(samples) > _SHOWN else ""
    return f"{', '.join(samples[:_SHOWN])}{rest}"
