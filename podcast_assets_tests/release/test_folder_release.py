"""Releases into a folder: what is there afterwards, what is touched and what is not, and that nobody sees half of one."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release.assemble import DamagedShard
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.published import parse_shard_list
from podcast_assets.release.release import ReleaseResult, preview, release
from podcast_assets.release.reviews import METADATA
from podcast_assets.release.targets.bucket import BucketTarget
from podcast_assets.release.targets.folder import FolderTarget
from podcast_assets.store.schema import schema
from podcast_assets.store.schema_beside import RELEASED_EPISODES
from podcast_assets.store.store import Store
from podcast_assets_tests.release.sealed_store import LICENSE, change, seal

OPTIONS = ReleaseOptions("all", "cc-by", shard_bytes=80_000, codec="flac")


def publish(store: Store, folder: Path, **changes: object) -> ReleaseResult:
    return release(store, FolderTarget(folder), ReleaseOptions(**{**OPTIONS.__dict__, **changes}))  # type: ignore[arg-type]


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Path → sha256 and inode."""
    return {
        p.relative_to(folder).as_posix(): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_ino)
        for p in folder.rglob("*")
        if p.is_file()
    }


def samples(folder: Path) -> list[str]:
    """Keys of all samples in all shards."""
    names = []
    for path in sorted(folder.rglob("*.tar")):
        with tarfile.open(path) as tar:
            names += [m.name.removesuffix(".json") for m in tar if m.name.endswith(".json")]
    return names


def assert_consistent(folder: Path) -> None:
    """List, tables and shards say the same, down to every byte of audio."""
    listed = parse_shard_list((folder / "shards.jsonl").read_bytes())
    assert sorted(s.path for s in listed) == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.tar"))
    metadata = pl.concat(pl.read_parquet(p) for p in sorted(folder.glob("metadata/*/*.parquet")))
    for shard in listed:
        data = (folder / shard.path).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (shard.sha256, shard.bytes)
        rows = metadata.filter(shard=shard.path)
        assert rows.height == shard.samples == sum(p.samples for p in shard.parts)
        assert rows["shard_sha256"].unique().to_list() == [shard.sha256]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            audio = {m.name.removesuffix(".flac"): m for m in tar if m.name.endswith(".flac")}
        for key, offset, size, sha256 in rows.select(
            "segment_id", "audio_offset", "audio_size", "audio_sha256"
        ).iter_rows():
            assert (audio[key].offset_data, audio[key].size) == (offset, size)
            assert hashlib.sha256(data[offset : offset + size]).hexdigest() == sha256
        for key, offset, size in rows.select("segment_id", "json_offset", "json_size").iter_rows():
            assert json.loads(data[offset : offset + size])["id"] == key
    assert metadata.schema == schema(METADATA)
    episodes = pl.concat(pl.read_parquet(p) for p in sorted(folder.glob("episodes/*.parquet")))
    assert episodes.schema == schema(RELEASED_EPISODES)
    assert set(episodes["episode_id"]) == set(metadata["episode_id"])
    assert episodes["segments"].sum() == metadata.height


def test_a_release_holds_every_sealed_sample_and_says_where(store: Store, folder: Path) -> None:
    for batch in ("b1", "b2", "b3"):
        seal(store, batch)
    done = publish(store, folder)
    assert done.changed and (done.new, done.anew, done.removed) == (
        ["data/en/train/audio_000000.tar", "data/en/train/audio_000001.tar"],
        [],
        [],
    )
    assert len(samples(folder)) == 18
    assert_consistent(folder)
    pipeline = json.loads((folder / "pipeline.json").read_bytes())
    assert list(pipeline["batches"]) == ["b1", "b2", "b3"]
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".")] == []


def test_episodes_are_named_with_their_rights_and_no_secret(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    rows = pl.read_parquet(folder / "episodes/b1.parquet")
    assert rows["license"].to_list() == [LICENSE] * 2
    assert rows["source"].to_list() == ["https://example.org/one.mp3", "https://example.org/two.mp3"]
    assert "“Episode one”, Show b1" in rows["attribution"][0]
    assert len(rows["turns"][0]) == 3
    assert all(b"secret" not in p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_every_table_has_the_licence_that_was_said_last(store: Store, folder: Path) -> None:
    seal(store, "b1")
    change(store, "raw_audio", "b1", pl.col("episode_id") == "b1-one", license="CC BY-SA 4.0")
    publish(store, folder, licenses="cc-by,cc-by-sa")
    for name in ("episodes/b1.parquet", "metadata/en/b1.parquet"):
        rows = pl.read_parquet(folder / name).select("episode_id", "license").unique().sort("episode_id").rows()
        assert rows == [("b1-one", "CC-BY-SA-4.0"), ("b1-two", LICENSE)], name
    assert_consistent(folder)


def test_the_card_names_no_episode(store: Store, folder: Path) -> None:
    seal(store, "b1", ["one"])
    publish(store, folder)
    text = (folder / "README.md").read_text()
    assert "Show b1" in text
    assert "Episode one" not in text


def test_a_show_on_both_sides_of_a_split_is_told(store: Store, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for batch in ("b1", "b2", "b3"):
        seal(store, batch)
        change(
            store, "raw_audio", batch, pl.lit(True), podcast="One *show*", podcast_id=None if batch == "b2" else "guid"
        )
    publish(store, folder)
    assert "No known podcast is in several splits" in (folder / "README.md").read_text()
    change(store, "hf_shards", "b2", pl.lit(True), split="test")
    assert publish(store, folder).podcasts_in_several_splits == 1
    text = (folder / "README.md").read_text()
    assert "Some podcasts are in several splits" in text and r"One \*show\*" in text
    assert "1 podcasts have episodes in several splits" in caplog.text


def test_the_same_again_changes_nothing(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    before, inode = state(folder), folder.stat().st_ino
    again = publish(store, folder)
    assert (again.changed, again.bytes, again.kept) == (False, 0, 1)
    assert state(folder) == before and folder.stat().st_ino == inode


def test_the_same_from_nothing_is_the_same(store: Store, folder: Path, tmp_path: Path) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch)
    publish(store, folder)
    publish(store, tmp_path / "other")
    assert {p: s for p, (s, _) in state(folder).items()} == {p: s for p, (s, _) in state(tmp_path / "other").items()}


def test_a_later_batch_adds_and_touches_no_shard(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    before = state(folder)
    seal(store, "b0")  # before it by name
    done = publish(store, folder)
    assert (len(done.new), done.anew) == (1, [])
    after = state(folder)
    assert {p: v for p, v in before.items() if p.endswith(".tar")}.items() <= after.items()
    assert after["metadata/en/b1.parquet"] == before["metadata/en/b1.parquet"]
    assert_consistent(folder)


def test_an_episode_that_is_excluded_changes_its_shard_alone(store: Store, folder: Path) -> None:
    for batch in ("b1", "b2", "b3"):
        seal(store, batch, audio_bytes=9_000)
    publish(store, folder)
    before = state(folder)
    seal_rights = {"two": None}
    seal(store, "b2", audio_bytes=9_000, licenses=seal_rights)
    done = publish(store, folder)
    assert (done.new, done.anew, done.removed) == ([], ["data/en/train/audio_000001.tar"], [])
    assert done.not_released.select("reason", "episodes").rows() == [("license_missing", 1)]
    after = state(folder)
    touched = {p for p in before if before[p] != after.get(p)}
    assert {p for p in touched if not p.startswith(("README", "assets"))} == {
        "data/en/train/audio_000001.tar",
        "metadata/en/b2.parquet",
        "episodes/b2.parquet",
        "shards.jsonl",
    }
    assert not any(k.startswith("b2-two") for k in samples(folder))
    assert all(b"b2-two" not in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert_consistent(folder)


def test_what_is_left_of_a_shared_shard_stays_together(store: Store, folder: Path) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch)
    publish(store, folder)
    seal(store, "b1", licenses={"one": None})
    assert publish(store, folder).anew == ["data/en/train/audio_000000.tar"]
    assert len(samples(folder)) == 9
    assert_consistent(folder)


def test_only_what_the_policy_keeps(store: Store, folder: Path) -> None:
    seal(store, "b1")
    done = publish(store, folder, publish="kept")
    assert len(samples(folder)) == 4
    assert done.not_released.rows() == [("not_kept", 2, pytest.approx(2 / 3600))]
    assert_consistent(folder)
    assert publish(store, folder).anew == ["data/en/train/audio_000000.tar"]
    assert len(samples(folder)) == 6


def test_a_store_that_lost_a_batch_goes_on_with_the_others(store: Store, folder: Path, tmp_path: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "b2")
    done = publish(elsewhere, folder)
    assert (len(done.new), done.anew, done.removed, done.kept) == (1, [], [], 1)
    assert len(samples(folder)) == 12
    assert_consistent(folder)
    assert list(json.loads((folder / "pipeline.json").read_bytes())["batches"]) == ["b1", "b2"]
    assert publish(elsewhere, folder).changed is False
    dropped = publish(elsewhere, folder, dropped=frozenset({"b1"}))
    assert dropped.removed == ["data/en/train/audio_000000.tar"]
    assert not (folder / "metadata/en/b1.parquet").exists()
    assert_consistent(folder)


def test_offsets_after_a_part_of_another_store_are_right(store: Store, folder: Path, tmp_path: Path) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch)
    publish(store, folder)
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "b2")  # its part comes after that of b1 in the same shard
    assert publish(elsewhere, folder).changed is False


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_a_damaged_sealed_shard_is_refused_before_anything_is_published(store: Store, folder: Path, harm: str) -> None:
    seal(store, "b1")
    publish(store, folder)
    before = state(folder)
    rows = seal(store, "b2", salt="other")
    path = Path(str(store.path(f"sealed/b2/{rows['shard'][0]}")))
    data = bytearray(path.read_bytes())
    data[5_000] ^= 1
    path.write_bytes(data if harm == "flipped" else data[:-512])
    with pytest.raises(DamagedShard, match=r"batch b2: sealed shard v1/data/en/train/audio_000000\.tar is damaged"):
        publish(store, folder)
    assert state(folder) == before
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".")] == []


def test_a_shard_that_was_damaged_in_the_dataset_is_brought_again(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    shard = folder / "data/en/train/audio_000000.tar"
    os.truncate(shard, 1000)
    assert publish(store, folder).anew == ["data/en/train/audio_000000.tar"]
    assert_consistent(folder)


def test_the_card_declares_the_codec_of_the_shards_whatever_the_settings_say(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder, codec="opus")
    assert "<key>.flac" in (folder / "README.md").read_text()
    assert "opus" not in (folder / "README.md").read_text().split("---")[1]
    assert publish(store, folder, codec="opus").changed is False


def test_a_dataset_has_samples_of_one_codec(store: Store, folder: Path, tmp_path: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    before = state(folder)
    seal(store, "b2", suffix="opus")
    with pytest.raises(BadInput, match=r"there are several \(flac: b1; opus: b2\)"):
        publish(store, folder)
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "b3", suffix="opus")
    with pytest.raises(BadInput, match=r"flac: what is published; opus: b3"):
        publish(elsewhere, folder)
    assert state(folder) == before
    seal(store, "b1", suffix="opus")
    publish(store, folder)
    assert "<key>.opus" in (folder / "README.md").read_text()


def test_a_damaged_table_releases_nothing(store: Store, folder: Path) -> None:
    seal(store, "b1")
    seal(store, "b2")
    publish(store, folder)
    Path(str(store.path("tables/hf_shards/b1.parquet"))).write_bytes(b"PAR1")
    with pytest.raises(BadInput, match="b1"):
        publish(store, folder)
    assert len(samples(folder)) == 12


def test_a_folder_that_is_no_dataset_is_left_alone(store: Store, folder: Path) -> None:
    seal(store, "b1")
    folder.mkdir()
    (folder / "letters.txt").write_text("private")
    with pytest.raises(Misconfigured, match="other than a dataset"):
        publish(store, folder)
    assert [p.name for p in folder.iterdir()] == ["letters.txt"]


def test_a_file_of_somebody_else_stays(store: Store, folder: Path) -> None:
    seal(store, "b1")
    publish(store, folder)
    (folder / "LICENSE").write_text("terms")
    seal(store, "b2")
    publish(store, folder)
    assert (folder / "LICENSE").read_text() == "terms"


def test_a_preview_says_what_a_release_does_and_writes_nothing(store: Store, folder: Path) -> None:
    seal(store, "b1")
    would = preview(store, FolderTarget(folder), OPTIONS)
    assert not folder.exists()
    done = publish(store, folder)
    assert (would.new, would.totals["segments"]["samples"]) == (done.new, done.totals["segments"]["samples"])
    assert preview(store, FolderTarget(folder), OPTIONS).changed is False


def test_a_preview_tells_of_tables_that_change(store: Store, folder: Path) -> None:
    seal(store, "b1")
    seal(store, "b2")
    publish(store, folder)
    before = state(folder)
    assert preview(store, FolderTarget(folder), OPTIONS).tables == []
    change(store, "hf_shards", "b1", pl.lit(True), policy="asr 2")
    would = preview(store, FolderTarget(folder), OPTIONS)
    assert (would.changed, would.tables) == (True, ["metadata/en/b1.parquet"])
    assert (would.new, would.anew, would.removed) == ([], [], [])
    assert state(folder) == before
    seal(store, "b3")
    beside_new = preview(store, FolderTarget(folder), OPTIONS)
    assert (len(beside_new.new), beside_new.tables) == (1, ["metadata/en/b1.parquet"])
    assert publish(store, folder).changed
    assert preview(store, FolderTarget(folder), OPTIONS).changed is False


def test_nothing_to_release_makes_no_dataset(store: Store, folder: Path) -> None:
    seal(store, "b1", licenses={"one": None, "two": "all rights reserved"})
    done = publish(store, folder)
    assert not done.changed and not folder.exists()
    assert sorted(done.reasons["reason"]) == ["license_missing", "license_unknown"]


@pytest.mark.store
def test_a_dataset_in_a_bucket(store: Store, bucket: str) -> None:
    """New shards, then what changes, the list last; the same again writes nothing."""
    place = Store.at(bucket)

    def publish() -> ReleaseResult:
        return release(store, BucketTarget(place, "talk"), OPTIONS)

    def there() -> dict[str, bytes]:
        return {e.key: place.read(e.key) for e in place.list("talk")}

    for batch in ("b1", "b2"):
        seal(store, batch, audio_bytes=9_000)
    assert len(publish().new) == 2
    before = there()
    listed = {s.path: s.sha256 for s in parse_shard_list(before["talk/shards.jsonl"])}
    assert listed == {
        k.removeprefix("talk/"): hashlib.sha256(d).hexdigest() for k, d in before.items() if k.endswith(".tar")
    }
    assert not publish().changed and there() == before
    seal(store, "b1", audio_bytes=9_000, licenses={"one": None, "two": None})
    assert publish().removed == ["data/en/train/audio_000000.tar"]
    assert not any("b1" in key for key in there())


def test_a_bucket_that_holds_something_else_is_left_alone(store: Store, tmp_path: Path) -> None:
    place = Store.at(tmp_path / "bucket")
    place.write("letters.txt", b"private")
    seal(store, "b1")
    with pytest.raises(Misconfigured, match="other than a dataset"):
        release(store, BucketTarget(place), OPTIONS)
