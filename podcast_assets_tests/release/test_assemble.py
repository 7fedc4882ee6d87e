"""Published shards made of sealed ones: whole samples, the very bytes, and nothing of a shard that is damaged."""

import hashlib
import io
import tarfile
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.release.assemble import DamagedShard, assemble_shard
from podcast_assets.release.selection import (
    Publish,
    SealedPart,
    index_samples,
    sealed_parts,
    select_samples,
    wanted_parts,
)
from podcast_assets.store.store import Store
from podcast_assets_tests.release.sealed_store import seal


def rows(store: Store, cleared: dict[str, bool], publish: Publish = "all") -> pl.DataFrame:
    written = seal(store, "b")
    clearance = pl.DataFrame(
        [("b", e, yes, None if yes else "no licence", "CC-BY-4.0") for e, yes in cleared.items()],
        schema={
            "batch": pl.String,
            "episode_id": pl.String,
            "cleared": pl.Boolean,
            "reason": pl.String,
            "license": pl.String,
        },
        orient="row",
    )
    return select_samples(index_samples(written, "b"), clearance, publish)


def members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]


def test_a_whole_part_is_the_sealed_shard_itself(store: Store) -> None:
    found = rows(store, {"b-one": True, "b-two": True})
    (part,) = sealed_parts(found).values()
    out = io.BytesIO()
    made = assemble_shard(store, [part], out)
    assert out.getvalue() == store.read(part.key)
    assert made.sha256 == hashlib.sha256(out.getvalue()).hexdigest() == found["shard_sha256"][0]
    assert made.bytes == len(out.getvalue())


def test_an_episode_left_out_leaves_whole_samples_of_the_others(store: Store) -> None:
    found = rows(store, {"b-one": False, "b-two": True})
    (part,) = sealed_parts(found).values()
    out = io.BytesIO()
    made = assemble_shard(store, [part], out)
    whole = members(store.read(part.key))
    assert members(out.getvalue()) == [(n, d) for n, d in whole if n.startswith("b-two")] and len(whole) == 12
    assert made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert found.filter(~pl.col("selected"))["reason"].unique().to_list() == ["no licence"]


def test_parts_follow_one_another(store: Store) -> None:
    found = rows(store, {"b-one": True, "b-two": True})
    (part,) = sealed_parts(found).values()
    out = io.BytesIO()
    assemble_shard(store, [part, part], out)
    assert members(out.getvalue()) == members(store.read(part.key)) * 2


def test_the_digest_is_of_what_is_selected_and_not_of_the_version(store: Store) -> None:
    (both,) = wanted_parts(rows(store, {"b-one": True, "b-two": True}))
    (one,) = wanted_parts(rows(store, {"b-one": True, "b-two": False}))
    assert both.part.digest != one.part.digest
    assert (both.part.samples, one.part.samples) == (6, 3)
    assert both.bytes == 2 * one.bytes
    assert both.part.shard == "data/en/train/audio_000000.tar"


def test_only_what_the_policy_keeps(store: Store) -> None:
    found = rows(store, {"b-one": True, "b-two": True}, "kept")
    assert found.filter("selected")["segment_index"].unique().sort().to_list() == [0, 2]
    (part,) = sealed_parts(found).values()
    assert len(part.ranges) == 3, "the last of one episode and the first of the next are one range"


def test_an_episode_of_which_no_rights_are_known_is_not_released(store: Store) -> None:
    assert not rows(store, {})["selected"].any()


@pytest.mark.parametrize("harm", ["truncated", "flipped", "gone"])
@pytest.mark.parametrize("everything", [True, False])
def test_a_damaged_sealed_shard_is_refused_and_named(store: Store, harm: str, everything: bool) -> None:
    found = rows(store, {"b-one": everything, "b-two": True})
    (part,) = sealed_parts(found).values()
    path = Path(str(store.path(part.key)))
    data = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        data[700] ^= 1  # in a sample that is left out where not everything is taken
        path.write_bytes(data if harm == "flipped" else data[:-1024])
    with pytest.raises(DamagedShard, match=rf"batch b: sealed shard {part.shard} is "):
        assemble_shard(store, [part], io.BytesIO())


@pytest.mark.parametrize(("folder", "asset"), [("data", "hf_shards"), ("episode_data", "episode_shards")])
def test_the_remedy_names_the_asset_that_seals_the_shard(store: Store, folder: str, asset: str) -> None:
    part = SealedPart("b", f"v1/{folder}/en/train/audio_000000.tar", "0" * 64, (), whole=True)
    with pytest.raises(DamagedShard, match=f"is missing: materialize {asset} of this batch again"):
        assemble_shard(store, [part], io.BytesIO())
    store.write(part.key, b"damaged")
    with pytest.raises(DamagedShard, match=f"Materialize {asset} of this batch again"):
        assemble_shard(store, [part], io.BytesIO())
