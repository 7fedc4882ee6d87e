"""Assembly of published shards from sealed ones: copied byte ranges, with the sealed shard's checksum verified.

A shard of one part with all members is the sealed shard itself, byte for byte.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from podcast_assets.common.errors import BadInput
from podcast_assets.release.selection import SealedPart
from podcast_assets.shards.sealing import grain_of_shard
from podcast_assets.shards.ustar import END
from podcast_assets.store.copying import copy_and_hash
from podcast_assets.store.store import Store


class DamagedShard(BadInput):
    """A sealed shard is missing or damaged. It is not published."""


@dataclass(frozen=True, slots=True)
class AssembledShard:
    """Hash and size of an assembled shard."""

    sha256: str
    bytes: int


class _HashingWriter:
    """A file whose content is hashed while it is written."""

    def __init__(self, out: BinaryIO) -> None:
        self.out, self.sha256, self.size = out, hashlib.sha256(), 0

    def write(self, data: bytes) -> None:
        self.sha256.update(data)
        self.size += len(data)
        self.out.write(data)


def assemble_shard(store: Store, parts: Sequence[SealedPart], out: BinaryIO) -> AssembledShard:
    """Assemble a shard from parts, in order. Memory holds one block.

    Raises:
        DamagedShard: a sealed shard is missing, truncated or changed; the output is then invalid.
    """
    hashed = _HashingWriter(out)
    single = len(parts) == 1 and parts[0].whole
    for part in parts:
        _copy_part(store, part, hashed, everything=single)
    if not single:
        hashed.write(END)
    return AssembledShard(hashed.sha256.hexdigest(), hashed.size)


def _copy_part(store: Store, part: SealedPart, out: _HashingWriter, *, everything: bool) -> None:
    """Read a whole sealed shard once, write the selected byte ranges and verify its checksum."""
    digest = hashlib.sha256()
    try:
        with store.local_copy(part.key) as path, path.open("rb") as file:
            position = 0
            for start, stop in () if everything else part.ranges:
                copy_and_hash(file, start - position, digest, None)
                position = start + copy_and_hash(file, stop - start, digest, out)
            size = position + copy_and_hash(file, None, digest, out if everything else None)
    except FileNotFoundError:
        raise DamagedShard(f"{_describe_part(part)} is missing: {_remedy(part)}") from None
    if digest.hexdigest() != part.sha256:
        remedy = _remedy(part)
        raise DamagedShard(
            f"{_describe_part(part)} is damaged: its {size:,} bytes have the sha256 {digest.hexdigest()[:12]}…, and "
            f"{part.sha256[:12]}… was sealed. Nothing was published. {remedy[0].upper()}{remedy[1:]}"
        )


def _remedy(part: SealedPart) -> str:
    return f"materialize {grain_of_shard(part.shard).asset} of this batch again, then release again"


def _describe_part(part: SealedPart) -> str:
    return f"batch {part.batch}: sealed shard {part.shard}"
