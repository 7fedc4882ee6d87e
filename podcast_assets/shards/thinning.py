"""Removal of episodes from sealed shards: only shards that contain one are rewritten, and the batch is not sealed again.

A rewritten shard is in another folder of its batch, `sealed/<batch>/<version>/…`, so that the committed table refers to complete
shards at every moment. `thinned/<folder of the grain>/<batch>.json` records the content of these shards, by which a later
materialization knows that there is nothing to seal.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.shards.sealing import Grain, sealed_versions
from podcast_assets.shards.ustar import END, BrokenTar, TarMember, read_members
from podcast_assets.store.copying import copy_and_hash
from podcast_assets.store.store import Store, sealed_key

_ORDER = "row_of_the_table"


@dataclass
class ThinnedShards:
    """Result of removing episodes from a batch's shards."""

    table: pl.DataFrame
    """Table of the asset without the episodes, with the new positions."""
    damaged: list[str] = field(default_factory=list)
    """Keys of unreadable shards with an episode, which are removed; the batch must be sealed again."""


def remove_episodes(
    store: Store, grain: Grain, batch: str, table: pl.DataFrame, episodes: Collection[str]
) -> ThinnedShards:
    """Rewrite the shards that contain some episodes without them. The old shards are kept.

    Args:
        store: store with the shards.
        grain: kind of their samples.
        batch: the batch.
        table: table of the grain's asset.
        episodes: ids of the episodes to remove.
    """
    gone = pl.col("episode_id").is_in(list(episodes))
    touched = set(table.filter(gone)["shard"])
    result = ThinnedShards(table)
    parts = [table.clear().with_row_index(_ORDER)]
    for (shard,), rows in table.with_row_index(_ORDER).partition_by("shard", as_dict=True, maintain_order=True).items():
        if shard not in touched:
            parts.append(rows)
            continue
        kept = rows.filter(~gone)
        if kept.is_empty():
            continue
        version, path = str(shard).split("/", 1)
        without = sorted(set(rows.filter(gone)["episode_id"]))
        new_shard = f"{fingerprint(version=version, without=without)[:12]}/{path}"
        try:
            parts.append(_rewrite_shard(store, grain, batch, str(shard), new_shard, kept))
        except (BrokenTar, FileNotFoundError):
            result.damaged.append(sealed_key(batch, str(shard)))
            parts.append(kept)
    result.table = pl.concat(parts).sort(_ORDER).drop(_ORDER)
    return result


def _rewrite_shard(
    store: Store, grain: Grain, batch: str, shard: str, new_shard: str, kept: pl.DataFrame
) -> pl.DataFrame:
    """Copy the members of the remaining samples; return their rows with the new positions.

    Raises:
        BrokenTar: the shard does not match the table.
        FileNotFoundError: the shard is missing.
    """
    keys = set(kept[grain.key])
    with store.local_copy(sealed_key(batch, str(shard))) as path, path.open("rb") as source:
        members = list(read_members(source))
        digest = hashlib.sha256()
        source.seek(0)
        copy_and_hash(source, None, digest, None)
        if digest.hexdigest() != kept["shard_sha256"][0]:
            raise BrokenTar(f"{shard}: its bytes are not those that were sealed")
        with store.writing(sealed_key(batch, new_shard)) as target:
            sha256, offsets = _copy_members(source, target, [m for m in members if _sample_key(m) in keys])
    moved = {
        "shard": pl.lit(new_shard),
        "shard_sha256": pl.lit(sha256),
        "audio_offset": pl.Series([offsets[k][1] for k in kept[grain.key]], dtype=pl.Int64),
        "json_offset": pl.Series([offsets[k][0] for k in kept[grain.key]], dtype=pl.Int64),
    }
    return kept.with_columns(**{name: values for name, values in moved.items() if name in kept.columns})


def _copy_members(
    source: BinaryIO, target: BinaryIO, members: list[TarMember]
) -> tuple[str, dict[str, tuple[int, int]]]:
    """Copy members unchanged; return the SHA-256 of the output, and the offsets of JSON and audio data by key."""
    digest, position = hashlib.sha256(), 0
    offsets: dict[str, tuple[int, int]] = {}
    for note, audio in zip(members[::2], members[1::2], strict=True):
        begins = []
        for member in (note, audio):
            begins.append(position + member.data_offset - member.header_offset)
            source.seek(member.header_offset)
            position += copy_and_hash(source, member.end - member.header_offset, digest, target)
        offsets[_sample_key(note)] = (begins[0], begins[1])
    digest.update(END)
    target.write(END)
    return digest.hexdigest(), offsets


def _sample_key(member: TarMember) -> str:
    return PurePosixPath(member.name).name.split(".", 1)[0]


def note_content(store: Store, grain: Grain, batch: str, table: pl.DataFrame, content: str) -> None:
    """Record the content version of rewritten shards, whose folders have other names.

    Args:
        store: store with the shards.
        grain: kind of their samples.
        batch: the batch.
        table: the table to be committed.
        content: result of `sealing.content_version`.
    """
    store.write(_note_key(grain, batch), json.dumps({"shards": _shards_of(table), "content": content}).encode())


def sealed_content(store: Store, grain: Grain, batch: str, table: pl.DataFrame) -> str | None:
    """Content version of the shards of a table; None if there are none or several."""
    try:
        noted: Mapping[str, str] = json.loads(store.read(_note_key(grain, batch)))
        if noted["shards"] == _shards_of(table):
            return noted["content"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # never thinned, or unreadable: then the batch is sealed again
    versions = sealed_versions(table)
    return versions.pop() if len(versions) == 1 else None


def _note_key(grain: Grain, batch: str) -> str:
    return f"thinned/{grain.folder}/{batch}.json"


def _shards_of(table: pl.DataFrame) -> str:
    rows = table.select("shard", "shard_sha256").unique().sort("shard").rows()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
