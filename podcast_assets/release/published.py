"""Published shards as listed in `shards.jsonl`, with the sealed parts of each.

The list is part of the dataset, and the only record of what was published.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from podcast_assets.common.errors import BadInput
from podcast_assets.release.validation import Name, RelativePath, Sha256, describe_first_error
from podcast_assets.shards.sealing import EPISODE_GRAIN, GRAINS, SEGMENT_GRAIN

LIST = "shards.jsonl"
"""Path of the list in a dataset."""

SEGMENTS, EPISODES = SEGMENT_GRAIN.name, EPISODE_GRAIN.name
"""Grains: what one sample is."""
FOLDERS = {grain.name: grain.folder for grain in GRAINS}
"""Grain → top folder of its shards, sealed or published."""
TABLE_FOLDERS = ("metadata/", "episodes/")
"""Folders with one table per batch."""


MAX_LIST_BYTES = 256 << 20
"""Largest list that is read: 100,000 shards, which is the Hub's limit of files, with 2.6 kB each."""


class DamagedDataset(BadInput):
    """A file of a published dataset is damaged, or is not what podcast-assets writes."""


class DamagedList(DamagedDataset):
    """A `shards.jsonl` cannot be read."""


_Bytes = Annotated[int, Field(ge=0, lt=1 << 60)]
_Samples = Annotated[int, Field(ge=0, lt=1 << 32)]
_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Part:
    """The selected members of one sealed shard."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    batch: Name
    shard: RelativePath
    """Path of the sealed shard in its batch, without the folder of its version."""
    digest: Sha256
    """SHA-256 over the ordered (json_sha256, audio_sha256) of the selected members."""
    samples: _Samples


@dataclass(frozen=True, slots=True)
class PublishedShard:
    """A published shard of a dataset."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    path: RelativePath
    """Path in the dataset."""
    sha256: Sha256
    """Hash of the whole tar."""
    bytes: _Bytes
    samples: _Samples
    hours: Annotated[float, Field(ge=0, lt=1e9)]
    language: Name
    split: Name
    grain: Annotated[str, Field(pattern=f"^({'|'.join(FOLDERS)})$")]
    parts: tuple[Part, ...]


_SHARD = TypeAdapter(PublishedShard)


def format_shard_list(shards: Iterable[PublishedShard]) -> bytes:
    """Format a `shards.jsonl`: one line per shard, ordered by path."""
    lines = [
        json.dumps(asdict(s), ensure_ascii=False, separators=(",", ":")) for s in sorted(shards, key=lambda s: s.path)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_shard_list(data: bytes) -> list[PublishedShard]:
    """Parse and validate the shards of a `shards.jsonl`, which may be a stranger's.

    Raises:
        DamagedList: it is too large, or a line does not describe a shard.
    """
    if len(data) > MAX_LIST_BYTES:
        raise DamagedList(f"{LIST} has more than {MAX_LIST_BYTES:,} bytes")
    return [_parse_shard(line, number) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]


def _parse_shard(line: bytes, number: int) -> PublishedShard:
    try:
        return _SHARD.validate_json(line)
    except ValidationError as error:
        raise DamagedList(f"line {number} of {LIST} is not a shard: {describe_first_error(error)}") from None
