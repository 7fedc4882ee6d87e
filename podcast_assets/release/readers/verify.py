"""Verification of a published dataset: every shard against `shards.jsonl` and the tables.

Each shard is read once, as a stream. Memory holds one block, the positions of one shard's samples, and a few tables.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from podcast_assets.common.errors import first_line
from podcast_assets.release.published import LIST, SEGMENTS, TABLE_FOLDERS, DamagedList, PublishedShard
from podcast_assets.release.readers.published_dataset import PublishedDataset, read_shard_list
from podcast_assets.release.readers.sample_index import SampleIndex
from podcast_assets.shards.sealing import GRAINS
from podcast_assets.shards.ustar import END, TAR_BLOCK, padded_size
from podcast_assets.store.store import BLOCK

_KEYS = {grain.name: grain.key for grain in GRAINS}
_AUDIO_POSITION = ("audio_offset", "audio_size", "audio_sha256")
_POSITION = ("json_offset", "json_size", "json_sha256", *_AUDIO_POSITION)
"""Columns of positions. Tables of episodes have only those of the audio."""
_SHOWN = 3
"""Maximum number of samples named in a message."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem found in a dataset."""

    path: str
    """File with the problem."""
    what: str
    """One-line description."""


@dataclass
class VerificationResult:
    """Result of a verification: what was checked, and the problems found."""

    shards: int = 0
    samples: int = 0
    bytes: int = 0
    hours: float = 0.0
    """Hours of the segments; whole episodes contain the same audio again."""
    troubles: list[Problem] = field(default_factory=list)


def verify_dataset(
    dataset: PublishedDataset, on_shard: Callable[[PublishedShard, list[Problem]], None] = lambda shard, problems: None
) -> VerificationResult:
    """Verify a whole dataset against its list and tables.

    Args:
        dataset: dataset to verify.
        on_shard: called after each shard with the problems found in it.

    Raises:
        Misconfigured: the dataset has no list of shards, or is not available.
    """
    result = VerificationResult()
    try:
        shards = read_shard_list(dataset)
    except DamagedList as error:
        result.troubles.append(Problem(LIST, str(error)))
        return result
    files = dataset.files()
    tables = SampleIndex(dataset, [p for p in files if p.startswith(TABLE_FOLDERS) and p.endswith(".parquet")])
    known = {s.path for s in shards}
    result.troubles += [
        Problem(p, f"extra: {LIST} does not list it") for p in sorted(files) if p.endswith(".tar") and p not in known
    ]
    for path in sorted(set(tables.shards) - known):
        result.troubles += [
            Problem(table, f"rows of {path}, which {LIST} does not list") for table in tables.shards[path]
        ]
    seen: set[str] = set()
    for shard in sorted(shards, key=lambda s: s.path):
        problems = [Problem(shard.path, what) for what in _verify_shard(dataset, files, tables, shard)]
        if shard.path in seen:
            problems.append(Problem(shard.path, f"{LIST} lists it twice"))
        seen.add(shard.path)
        result.troubles += problems
        result.shards += 1
        result.samples += shard.samples
        result.bytes += files.get(shard.path, 0)
        result.hours += shard.hours if shard.grain == SEGMENTS else 0.0
        on_shard(shard, problems)
    result.troubles += [Problem(path, f"cannot be read: {why}") for path, why in sorted(tables.unreadable.items())]
    return result


def _verify_shard(
    dataset: PublishedDataset, files: Mapping[str, int], tables: SampleIndex, shard: PublishedShard
) -> Iterator[str]:
    """Find the problems of a shard."""
    size = files.get(shard.path)
    if size is None:
        yield "missing"
        return
    if size != shard.bytes:
        yield f"{'truncated' if size < shard.bytes else 'too long'}: {size:,} bytes, {LIST} says {shard.bytes:,}"
        return
    try:
        with dataset.open(shard.path) as f:
            sha256, samples, broken = read_samples(f)
    except OSError as error:
        yield f"cannot be read: {first_line(error)}"
        return
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
    key = _KEYS[shard.grain]
    rows = tables.rows(shard.path, (key, "shard_sha256", *_POSITION))
    if rows.is_empty():
        yield "missing rows: no table has rows of it"
        return
    if absent := [c for c in (key, "shard_sha256", *_AUDIO_POSITION) if c not in rows.columns]:
        yield f"its tables lack the columns {', '.join(absent)}"
    if key not in rows.columns:
        return
    by_key = {str(row[key]): row for row in rows.iter_rows(named=True)}
    if len(by_key) < rows.height:
        yield f"{rows.height - len(by_key)} duplicate rows"
    if missing := [s for s in samples if s not in by_key]:
        yield f"missing rows: no table has rows of {_name_samples(missing)}"
    if missing := [s for s in by_key if s not in samples]:
        yield f"missing samples: tables have rows of {_name_samples(missing)}"
    for name in (n for n in _POSITION if n in rows.columns):
        if wrong := [s for s, sample in samples.items() if s in by_key and getattr(sample, name) != by_key[s][name]]:
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
    """Read a shard; return its SHA-256, its readable samples by key, and the problem that stopped reading, if any."""
    hashed = _HashingReader(stream)
    samples: dict[str, SampleHashes] = {}
    problem: str | None = None
    note: tuple[str, int, int, str] | None = None
    try:
        for member in _read_members(hashed):
            key, _, suffix = member.name.rpartition(".")
            if suffix == "json" and note is None:
                note = key, member.offset, member.size, member.sha256
            elif note is None or note[0] != key or suffix == "json" or key in samples:
                start = member.offset - TAR_BLOCK
                problem = f"{member.name} at byte {start:,} is out of order: expected a JSON, then its audio"
                break
            else:
                samples[key] = SampleHashes(*note[1:], member.offset, member.size, member.sha256)
                note = None
        if note and not problem:
            problem = f"{note[0]} has no audio"
    except (tarfile.TarError, EOFError) as error:
        problem = f"not a readable tar after {len(samples)} samples: {error}"
    hashed.read_rest()
    return hashed.sha256.hexdigest(), samples, problem


@dataclass(frozen=True, slots=True)
class _HashedMember:
    name: str
    offset: int
    """Offset of the data."""
    size: int
    sha256: str


def _read_members(hashed: "_HashingReader") -> Iterator[_HashedMember]:
    """Read the members of a tar in order. `tarfile` needs ten times the CPU time if members are small.

    Raises:
        TarError: a header is invalid, or not of a regular file.
        EOFError: the tar is truncated.
    """
    while (block := b"".join(hashed.pieces(TAR_BLOCK))) != END[:TAR_BLOCK]:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        if not header.isreg() or header.size < 0:
            raise tarfile.TarError(f"{header.name!r} is not a regular file")
        offset, digest = hashed.position, hashlib.sha256()
        for piece in hashed.pieces(header.size):
            digest.update(piece)
        for _ in hashed.pieces(padded_size(header.size) - header.size):
            pass
        yield _HashedMember(header.name, offset, header.size, digest.hexdigest())


class _HashingReader:
    """A stream that is read in large blocks and hashed, and returned in pieces without copying."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()
        self._block = memoryview(b"")
        self.position = 0
        """Offset of the next byte to return."""

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Read `size` bytes in pieces.

        Raises:
            EOFError: the stream ends earlier.
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

    def read_rest(self) -> None:
        """Read and hash the rest of the stream."""
        while self._read_block():
            pass

    def _read_block(self) -> bytes:
        block = self._stream.read(BLOCK)
        self.sha256.update(block)
        return block


def _name_samples(samples: list[str]) -> str:
    rest = f" and {len(samples) - _SHOWN} more" if len(samples) > _SHOWN else ""
    return f"{', '.join(samples[:_SHOWN])}{rest}"
