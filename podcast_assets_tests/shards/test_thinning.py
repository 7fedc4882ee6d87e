"""Shards without some of their episodes: those that hold one are written again, and the others are not touched."""

from pathlib import Path

import polars as pl
import pytest

from podcast_assets.shards import check, sealing
from podcast_assets.shards.thinning import note_content, remove_episodes, sealed_content
from podcast_assets.store.store import Store
from podcast_assets_tests import conftest
from podcast_assets_tests.shards.test_sealing import content, encoded

store = conftest.store  # in a bucket too
BATCH = "b"


def sealed(store: Store, shard_bytes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Content and the table of `hf_shards`."""
    found = content()
    places = sealing.seal_segments(
        store, BATCH, "v1", found, encoded(store, found), suffix="flac", shard_bytes=shard_bytes
    )
    return found, places.join(found.select("segment_id", "episode_id"), on="segment_id", maintain_order="left")


def shards(store: Store) -> dict[str, bytes]:
    return {e.key: store.read(e.key) for e in store.list(f"sealed/{BATCH}")}


def test_only_shards_with_the_episode_are_written_again(store: Store) -> None:
    _, table = sealed(store, shard_bytes=4_000)
    before, held = shards(store), table.filter(episode_id="ep-a")["shard"].unique().to_list()
    thinned = remove_episodes(store, sealing.SEGMENT_GRAIN, BATCH, table, ["ep-a"])
    assert 0 < len(held) < table["shard"].n_unique(), "some shards hold it and some do not"
    assert {k: v for k, v in shards(store).items() if k in before} == before, (
        "the old ones stay until the table is committed"
    )
    assert not set(thinned.table["shard"]) & set(held)
    assert thinned.table["segment_id"].to_list() == table.filter(episode_id="ep-b")["segment_id"].to_list()
    assert check.find_damaged_shards(store, BATCH, thinned.table) == []
    assert not any(b"ep-a" in store.read(f"sealed/{BATCH}/{s}") for s in thinned.table["shard"].unique())
    untouched = table.filter(~pl.col("shard").is_in(held))
    assert thinned.table.join(untouched, on=table.columns, how="semi").height == untouched.height
    assert remove_episodes(store, sealing.SEGMENT_GRAIN, BATCH, table, ["ep-a"]).table.equals(thinned.table), (
        "the same again is the same"
    )


def test_a_thinned_batch_is_known_as_sealed(store: Store) -> None:
    found, table = sealed(store, shard_bytes=4_000)
    thinned = remove_episodes(store, sealing.SEGMENT_GRAIN, BATCH, table, ["ep-a"]).table
    left = found.filter(episode_id="ep-b")
    assert check.find_sealed(store, BATCH, "v1", found, table) is not None
    assert check.find_sealed(store, BATCH, "v2", left, thinned) is None
    note_content(store, sealing.SEGMENT_GRAIN, BATCH, thinned, "v2")
    assert check.find_sealed(store, BATCH, "v2", left, thinned) is not None
    assert check.find_sealed(store, BATCH, "v1", left, thinned) is None
    assert sealed_content(store, sealing.SEGMENT_GRAIN, BATCH, table) == "v1", "the note is of these shards alone"


@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_shard_is_not_copied_and_is_told(tmp_path: Path, harm: str) -> None:
    store = Store.at(tmp_path)
    _, table = sealed(store, shard_bytes=1_000_000)
    (key,) = shards(store)
    data = bytearray(store.read(key))
    data[700] ^= 1
    store.remove(key)
    if harm != "gone":
        store.write(key, bytes(data) if harm == "flip" else bytes(data[:-2000]))
    thinned = remove_episodes(store, sealing.SEGMENT_GRAIN, BATCH, table, ["ep-a"])
    assert thinned.damaged == [key]
    assert set(shards(store)) <= {key}
