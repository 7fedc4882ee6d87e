"""Plan of a release: which shards stay, are rebuilt, are new or are removed. No I/O.

A published shard stays as long as none of its parts changes. If a part changes or is removed, its shard is rebuilt; new parts go
into new shards.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from podcast_assets.common.errors import BadInput
from podcast_assets.release.published import FOLDERS, Part, PublishedShard

_GRAINS = {folder: grain for grain, folder in FOLDERS.items()}


@dataclass(frozen=True, slots=True)
class WantedPart:
    """A part to publish."""

    part: Part
    bytes: int
    """Size of its members in a tar."""


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """A shard planned for the release."""

    path: str
    parts: tuple[Part, ...]
    before: PublishedShard | None
    """Shard published under this path; None for a new one."""

    @property
    def stays(self) -> bool:
        """Whether the shard is already published like this."""
        return self.before is not None and self.before.parts == self.parts


@dataclass(frozen=True)
class ReleasePlan:
    """Shards of a release, ordered by path, and the shards to remove."""

    shards: list[PlannedShard]
    removed: list[str] = field(default_factory=list)


def plan_release(
    published: Sequence[PublishedShard],
    wanted: Sequence[WantedPart],
    *,
    known: Collection[tuple[str, str]],
    shard_bytes: int,
    dropped: Collection[str] = (),
) -> ReleasePlan:
    """Plan the shards so that the dataset contains the wanted parts.

    Args:
        published: shards of the dataset now.
        wanted: parts that the dataset shall contain.
        known: (grain, batch) that `wanted` covers completely. Parts of others stay, so that a lost batch unpublishes nothing.
        shard_bytes: size up to which new shards are filled.
        dropped: batches to remove although they are not known.

    Raises:
        BadInput: a shard must be rebuilt, but one of its parts is from an unknown batch.
    """
    wanted_by_key = {(w.part.batch, w.part.shard): w.part for w in wanted}
    placed: set[tuple[str, str]] = set()
    shards: list[PlannedShard] = []
    removed: list[str] = []
    for shard in sorted(published, key=lambda s: s.path):
        parts: list[Part] = []
        for part in shard.parts:
            key = part.batch, part.shard
            if key in placed or part.batch in dropped:
                continue
            current = wanted_by_key.get(key) if grain_and_batch_of(part) in known else part
            if current is not None:
                placed.add(key)
                parts.append(current)
        planned = PlannedShard(shard.path, tuple(parts), shard)
        if not parts:
            removed.append(shard.path)
            continue
        if not planned.stays:
            _require_known_batches(planned, known)
        shards.append(planned)
    new = [w for w in wanted if (w.part.batch, w.part.shard) not in placed and w.part.batch not in dropped]
    shards += _pack_parts(new, [s.path for s in published], shard_bytes)
    return ReleasePlan(sorted(shards, key=lambda s: s.path), removed)


def group_of(path: str) -> str:
    """Folder of a shard, sealed or published: `data/<language>/<split>`."""
    return str(PurePosixPath(path).parent)


def grain_language_split(path: str) -> tuple[str, str, str]:
    """Grain, language and split from the path of a shard."""
    top, language, split, _ = path.split("/")
    return _GRAINS[top], language, split


def grain_and_batch_of(part: Part) -> tuple[str, str]:
    """Grain and batch of a part."""
    return grain_language_split(part.shard)[0], part.batch


def _require_known_batches(planned: PlannedShard, known: Collection[tuple[str, str]]) -> None:
    if absent := sorted({p.batch for p in planned.parts if grain_and_batch_of(p) not in known}):
        raise BadInput(
            f"{planned.path} must be rebuilt, but contains parts of {', '.join(absent)}, which this store does not have (in "
            "this version): release from the store that has it, materialize it here again, "
            "or take it out with `release --drop BATCH`"
        )


def _pack_parts(parts: Iterable[WantedPart], taken: Iterable[str], shard_bytes: int) -> list[PlannedShard]:
    """Pack parts into new shards, in order. Large parts get shards of their own; small ones, the tails of batches, share."""
    numbers: dict[str, int] = {}
    for path in taken:
        numbers[group_of(path)] = max(numbers.get(group_of(path), -1), _shard_number(path))
    packs: list[list[WantedPart]] = []
    open_packs: dict[str, list[WantedPart]] = {}
    for wanted in sorted(parts, key=lambda w: (w.part.batch, w.part.shard)):
        group = group_of(wanted.part.shard)
        pack = open_packs.get(group)
        if pack is not None and _pack_size(pack) + wanted.bytes <= shard_bytes:
            pack.append(wanted)
            continue
        packs.append([wanted])
        if pack is None or wanted.bytes < _pack_size(pack):
            open_packs[group] = packs[-1]
    planned = []
    for pack in packs:
        group = group_of(pack[0].part.shard)
        numbers[group] = numbers.get(group, -1) + 1
        planned.append(PlannedShard(f"{group}/audio_{numbers[group]:06d}.tar", tuple(w.part for w in pack), None))
    return planned


def _pack_size(pack: Sequence[WantedPart]) -> int:
    return sum(w.bytes for w in pack)


def _shard_number(path: str) -> int:
    return int(PurePosixPath(path).stem.rpartition("_")[2])
