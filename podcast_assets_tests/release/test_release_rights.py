"""What may not be published is not, also where a store has no part in it, or only a part of another version."""

import contextlib
import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.published import parse_shard_list
from podcast_assets.release.release import ReleaseResult, StillPublished, preview, release
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange
from podcast_assets.store.store import Store, table_key
from podcast_assets.store.takedown_records import new_record, write_record
from podcast_assets_tests.release.published import publish as publish_shows
from podcast_assets_tests.release.sealed_store import change, seal
from podcast_assets_tests.release.test_folder_release import assert_consistent, samples

OPTIONS = ReleaseOptions("all", "*", shard_bytes=80_000, codec="flac")
AT = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def publish(store: Store, folder: Path, **changes: object) -> ReleaseResult:
    return release(store, FolderTarget(folder), ReleaseOptions(**{**OPTIONS.__dict__, **changes}))  # type: ignore[arg-type]


def take_down(store: Store, **names: list[str]) -> None:
    """The record of a takedown, which is what a release heeds."""
    write_record(store, new_record("0" * 16, "episode", "x", "the host asked", None, AT) | names)


def of_another_version(store: Store, asset: str, batch: str) -> None:
    path = Path(str(store.path(table_key(asset, batch))))
    pl.read_parquet(path).drop("degraded").write_parquet(path)


# -- batches that cannot be made again -----------------------------------------------------------------------------------


def test_what_is_taken_down_in_a_batch_of_another_version_is_named_until_it_is_out(store: Store, folder: Path) -> None:
    seal(store, "b1")
    seal(store, "b2")
    publish(store, folder, shard_bytes=20_000)
    of_another_version(store, "hf_shards", "b1")
    seal(store, "b3")
    take_down(store, episode_ids=["b1-one"], episodes=["b1/b1-one"])
    would = preview(store, FolderTarget(folder), OPTIONS)
    assert would.still_published.select("batch", "episode_id").rows() == [("b1", "b1-one")]
    for _ in range(2):
        with pytest.raises(StillPublished, match=r"b1/b1-one \(taken down on .*the host asked.*release --drop b1"):
            publish(store, folder, shard_bytes=20_000)
        assert any("b3-one" in key for key in samples(folder)), "all else is released"
    seal(store, "b1")
    publish(store, folder, shard_bytes=20_000)
    assert not any("b1-one" in key for key in samples(folder))
    assert any("b1-two" in key for key in samples(folder))
    assert_consistent(folder)


@pytest.mark.parametrize("name", ["episode_ids", "podcast_ids", "podcast_titles", "sha256"])
def test_what_is_taken_down_in_a_batch_of_another_store_is_named_and_can_be_dropped(
    store: Store, folder: Path, tmp_path: Path, name: str
) -> None:
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "b1")
    if name == "podcast_titles":
        change(elsewhere, "raw_audio", "b1", pl.lit(True), podcast_id=None)
    publish(elsewhere, folder)
    seal(store, "b2")
    row = pl.read_parquet(folder / "episodes/b1.parquet").row(0, named=True)
    of = {"episode_ids": "episode_id", "podcast_ids": "podcast_id", "podcast_titles": "podcast", "sha256": "sha256"}
    take_down(store, **{name: [row[of[name]]]})
    with pytest.raises(StillPublished, match="b1/b1-one"):
        publish(store, folder)
    assert not publish(store, folder, dropped=frozenset({"b1"})).still_published.height
    assert not any("b1-" in key for key in samples(folder))
    assert_consistent(folder)


def test_whole_episodes_of_another_version_stay_until_one_of_them_must_go(folder: Path) -> None:
    publish_shows(folder, episodes=True)
    store = Store.at(folder.with_name(f"{folder.name}-store"))
    before = {p.stem: pl.read_parquet(p) for p in folder.glob("episodes/*.parquet")}
    batch, table = min(before.items())
    of_another_version(store, "episode_shards", batch)
    assert table["shard"].drop_nulls().len()
    again = publish(store, folder, shard_bytes=30_000)
    assert not again.changed
    assert again.kept == len(parse_shard_list((folder / "shards.jsonl").read_bytes()))
    assert pl.read_parquet(folder / f"episodes/{batch}.parquet").equals(table)

    gone = table["episode_id"][0]
    take_down(store, episode_ids=[gone], episodes=[f"{batch}/{gone}"])
    publish(store, folder, shard_bytes=30_000)
    assert not any(key == gone or key.startswith(f"{gone}-") for key in samples(folder))
    listed = parse_shard_list((folder / "shards.jsonl").read_bytes())
    assert not [s.path for s in listed if s.grain == "episodes" and batch in {p.batch for p in s.parts}]


# -- rights of copies ---------------------------------------------------------------------------------------------------


def test_an_opt_out_of_the_same_bytes_counts_where_its_batch_is_not_sealed(store: Store, folder: Path) -> None:
    seal(store, "b2")
    publish(store, folder)
    seal(store, "b1")
    same = pl.read_parquet(str(store.path(table_key("raw_audio", "b2"))))["sha256"][0]
    metadata = json.dumps({"opt_out": "yes"})
    change(store, "raw_audio", "b1", pl.col("episode_id") == "b1-one", sha256=same, metadata=metadata)
    store.remove(table_key("hf_shards", "b1"))
    done = publish(store, folder)
    assert not any("b2-one" in key for key in samples(folder))
    assert done.reasons.select("batch", "episode_id", "reason").rows() == [("b2", "b2-one", "opted_out")]


def test_a_copy_that_is_not_sealed_keeps_nothing_back(store: Store, folder: Path) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch)
    same = pl.read_parquet(str(store.path(table_key("raw_audio", "b2"))))["sha256"][0]
    change(store, "raw_audio", "b1", pl.col("episode_id") == "b1-one", sha256=same)
    store.remove(table_key("hf_shards", "b1"))
    done = publish(store, folder)
    assert len(samples(folder)) == 6
    assert not done.reasons.height, "episodes that nobody sealed are not held back"
    seal(store, "b1")
    change(store, "raw_audio", "b1", pl.col("episode_id") == "b1-one", sha256=same)
    assert publish(store, folder).reasons.select("batch", "reason").rows() == [("b2", "duplicate")]


# -- rights that change while a release goes on ---------------------------------------------------------------------------


class Meanwhile(FolderTarget):
    """A folder to which something else happens after a release was planned."""

    def __init__(self, folder: Path, what: Callable[[], object]) -> None:
        super().__init__(folder)
        self.left = [what]

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        if self.left:
            self.left.pop()()
        with super().change(head) as change:
            yield change


@pytest.mark.parametrize("what", ["widened", "opted_out", "license_lost", "licence_changed"])
def test_rights_that_change_during_a_release_are_heeded(store: Store, folder: Path, what: str) -> None:
    seal(store, "b1")
    take_down(store, episode_ids=["nobody"])
    one = pl.col("episode_id") == "b1-one"
    happens: dict[str, Callable[[], object]] = {
        "widened": lambda: take_down(store, episode_ids=["b1-one", "nobody"]),
        "opted_out": lambda: change(store, "raw_audio", "b1", one, metadata=json.dumps({"no_ai": 1})),
        "license_lost": lambda: change(store, "raw_audio", "b1", one, license=None),
        "licence_changed": lambda: change(store, "raw_audio", "b1", one, license="CC-BY-SA-4.0"),
    }
    done = release(store, Meanwhile(folder, happens[what]), OPTIONS)
    if what == "licence_changed":
        assert "CC-BY-SA-4.0" in pl.read_parquet(folder / "episodes/b1.parquet")["license"].to_list()
    else:
        assert not any("b1-one" in key for key in samples(folder))
        assert done.reasons["episode_id"].to_list() == ["b1-one"]
