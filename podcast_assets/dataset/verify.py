"""Whether a published dataset is whole: every shard against its list and against the tables, byte for byte.

Each shard is read once, as a stream; memory holds a block, the places of one shard's samples, and a few tables.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from podcast_assets.dataset.opened import Index, Opened, listed_shards
from podcast_assets.dataset.published import EPISODES, LIST, SEGMENTS, DamagedList, PublishedShard
from podcast_assets.store import BLOCK

KEYS = {SEGMENTS: "segment_id", EPISODES: "episode_id"}
_PLACE = ("json_offset", "json_size", "json_sha256", "audio_offset", "audio_size", "audio_sha256")
_SHOWN = 3
"""Samples that are named of many."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong, in one line."""

    path: str
    what: str


@dataclass
class Verified:
    """What was looked at, and what was found."""

    shards: int = 0
    samples: int = 0
    bytes: int = 0
    hours: float = 0.0
    """Of segments; whole episodes hold the same once more."""
    troubles: list[Trouble] = field(default_factory=list)


def verify(
    dataset: Opened, watch: Callable[[PublishedShard, list[Trouble]], None] = lambda shard, troubles: None
) -> Verified:
    """Read a dataset whole and compare it with what it says of itself.

    Args:
        dataset: in a folder or on the Hub.
        watch: is told of each shard, with what is wrong with it.

    Raises:
        Misconfigured: it has no list of shards, or cannot be read.
    """
    found = Verified()
    try:
        shards = listed_shards(dataset)
    except DamagedList as error:
        found.troubles.append(Trouble(LIST, str(error)))
        return found
    files = dataset.files()
    tables = Index(dataset, [p for p in files if p.startswith(("metadata/", "episodes/")) and p.endswith(".parquet")])
    known = {s.path for s in shards}
    found.troubles += [
        Trouble(p, f"extra: {LIST} does not list it") for p in sorted(files) if p.endswith(".tar") and p not in known
    ]
    for path in sorted(set(tables.shards) - known):
        found.troubles += [
            Trouble(table, f"rows of {path}, which {LIST} does not list") for table in tables.shards[path]
        ]
    seen: set[str] = set()
    for shard in sorted(shards, key=lambda s: s.path):
        troubles = [Trouble(shard.path, what) for what in _shard(dataset, files, tables, shard)]
        if shard.path in seen:
            troubles.append(Trouble(shard.path, f"{LIST} lists it twice"))
        seen.add(shard.path)
        found.troubles += troubles
        found.shards += 1
        found.samples += shard.samples
        found.bytes += files.get(shard.path, 0)
        found.hours += shard.hours if shard.grain == SEGMENTS else 0.0
        watch(shard, troubles)
    found.troubles += [Trouble(path, f"cannot be read: {why}") for path, why in sorted(tables.unreadable.items())]
    return found


def _shard(dataset: Opened, files: Mapping[str, int], tables: Index, shard: PublishedShard) -> Iterator[str]:
    """What is wrong with a shard."""
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
    yield from _against_tables(samples, tables, shard)


def _against_tables(samples: Mapping[str, "Sample"], tables: Index, shard: PublishedShard) -> Iterator[str]:
    key = KEYS[shard.grain]
    rows = tables.rows(shard.path, (key, "shard_sha256", *_PLACE))
    if rows.is_empty():
        yield "missing rows: no table speaks of it"
        return
    told = {str(row[key]): row for row in rows.iter_rows(named=True)}
    if len(told) < rows.height:
        yield f"{rows.height - len(told)} rows more than once"
    if lost := [s for s in samples if s not in told]:
        yield f"missing rows: no table speaks of {_named(lost)}"
    if lost := [s for s in told if s not in samples]:
        yield f"missing samples: tables speak of {_named(lost)}"
    for name in (n for n in _PLACE if n in rows.columns):
        if wrong := [s for s, sample in samples.items() if s in told and getattr(sample, name) != told[s][name]]:
            yield f"{name} differs from the table: {_named(wrong)}"
    if "shard_sha256" in rows.columns and set(rows["shard_sha256"].unique()) != {shard.sha256}:
        yield f"the tables have another sha256 for it than {LIST}"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample as it really lies in a shard."""

    json_offset: int
    json_size: int
    json_sha256: str
    audio_offset: int
    audio_size: int
    audio_sha256: str


def read_samples(stream: BinaryIO) -> tuple[str, dict[str, Sample], str | None]:
    """SHA-256 of a shard, its samples by key as far as they can be read, and what ends the reading where something does."""
    hashed = _Hashed(stream)
    samples: dict[str, Sample] = {}
    trouble: str | None = None
    try:
        with tarfile.open(fileobj=cast("Any", hashed), mode="r|", bufsize=BLOCK) as tar:
            note: tuple[str, int, int, str] | None = None
            for member in tar:
                key, _, suffix = member.name.rpartition(".")
                data = tar.extractfile(member)
                digest = _sha256(data) if data else ""
                if suffix == "json" and note is None:
                    note = key, member.offset_data, member.size, digest
                elif note is None or note[0] != key or suffix == "json" or key in samples:
                    trouble = f"{member.name} at byte {member.offset:,} is not where it belongs: a JSON, then its audio"
                    break
                else:
                    samples[key] = Sample(*note[1:], member.offset_data, member.size, digest)
                    note = None
            if note and not trouble:
                trouble = f"{note[0]} has no audio"
    except (tarfile.TarError, EOFError) as error:
        trouble = f"no tar that can be read, after {len(samples)} samples: {error}"
    hashed.rest()
    return hashed.sha256.hexdigest(), samples, trouble


class _Hashed:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end: streams from a network give what has come."""
        parts = []
        while size:
            part = self._stream.read(size)
            if not part:
                break
            self.sha256.update(part)
            parts.append(part)
            size = size - len(part) if size > 0 else size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def rest(self) -> None:
        """Hash what is left."""
        while self.read(BLOCK):
            pass


def _sha256(stream: Any) -> str:
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _named(samples: list[str]) -> str:
    rest = f" and {len(samples) - _SHOWN} more" if len(samples) > _SHOWN else ""
    return f"{', '.join(samples[:_SHOWN])}{rest}"
