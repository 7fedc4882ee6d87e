"""Published shards as listed in `shards.jsonl`, with the sealed parts of each.

The list is part of the dataset, and the only record of what was published.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from podcast_assets.shards.sealing import EPISODE_GRAIN, GRAINS, SEGMENT_GRAIN

LIST = "shards.jsonl"
"""Path of the list in a dataset."""

SEGMENTS, EPISODES = SEGMENT_GRAIN.name, EPISODE_GRAIN.name
"""Grains: what one sample is."""
FOLDERS = {grain.name: grain.folder for grain in GRAINS}
"""Grain → top folder of its shards, sealed or published."""
TABLE_FOLDERS = ("metadata/", "episodes/")
"""Folders with one table per batch."""


class DamagedList(ValueError):
    """A `shards.jsonl` cannot be read."""


@dataclass(frozen=True, slots=True)
class Part:
    """The selected members of one sealed shard."""

    batch: str
    shard: str
    """Path of the sealed shard in its batch, without the folder of its version."""
    digest: str
    """SHA-256 over the ordered (json_sha256, audio_sha256) of the selected members."""
    samples: int


@dataclass(frozen=True, slots=True)
class PublishedShard:
    """A published shard of a dataset."""

    path: str
    """Path in the dataset."""
    sha256: str
    """Hash of the whole tar."""
    bytes: int
    samples: int
    hours: float
    language: str
    split: str
    grain: str
    parts: tuple[Part, ...]


def format_shard_list(shards: Iterable[PublishedShard]) -> bytes:
    """Format a `shards.jsonl`: one line per shard, ordered by path."""
    lines = [
        json.dumps(asdict(s), ensure_ascii=False, separators=(",", ":")) for s in sorted(shards, key=lambda s: s.path)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_shard_list(data: bytes) -> list[PublishedShard]:
    """Parse the shards of a `shards.jsonl`.

    Raises:
        DamagedList: a line does not describe a shard.
    """
    shards = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            shards.append(_parse_shard(json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedList(f"line {number} of {LIST} is not a shard: {error}") from None
    return shards


def _parse_shard(row: dict[str, Any]) -> PublishedShard:
    return PublishedShard(**{**row, "parts": tuple(Part(**p) for p in row["parts"])})
