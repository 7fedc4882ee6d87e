"""A published dataset that was harmed is found, and what was harmed is named; from a folder, a bucket and the Hub."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from podcast_assets.cli.dataset import dataset as dataset_commands
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.release.published import PublishedShard, format_shard_list
from podcast_assets.release.readers.published_dataset import StoredDataset, open_dataset
from podcast_assets.release.readers.sample import draw_samples
from podcast_assets.release.readers.verify import verify_dataset
from podcast_assets.release.targets.hub import HubTarget
from podcast_assets.shards.ustar import END
from podcast_assets.store.store import Store
from podcast_assets_tests import forked
from podcast_assets_tests.doubles.hub import TOKEN, HubDouble
from podcast_assets_tests.release.published import Published, publish, publish_to
from podcast_assets_tests.shards.in_memory import member_bytes

pytestmark = pytest.mark.readers

SHARD = "data/en/train/audio_000001.tar"
REPO = "tester/talk"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("made") / "dataset", episodes=True)


@pytest.fixture
def published(made: Published, tmp_path: Path) -> Published:
    """A copy to be harmed."""
    shutil.copytree(made.folder, tmp_path / "dataset")
    for path in (tmp_path / "dataset").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return replace(made, folder=tmp_path / "dataset")


def troubles(published: Published) -> list[str]:
    return [f"{t.path}: {t.what}" for t in verify_dataset(open_dataset(str(published.folder))).troubles]


def relist(published: Published, *shards: PublishedShard) -> None:
    (published.folder / "shards.jsonl").write_bytes(format_shard_list(shards))


def change_table(published: Published, path: str, change: Any) -> None:
    table = pl.read_parquet(published.folder / path)
    change(table).write_parquet(published.folder / path)


def test_all_is_well(published: Published) -> None:
    found = verify_dataset(open_dataset(str(published.folder)))
    assert found.troubles == []
    assert (found.shards, found.samples) == (len(published.shards), 48 + 4)
    assert found.bytes == sum(p.stat().st_size for p in published.folder.rglob("*.tar"))


def test_truncated(published: Published) -> None:
    path = published.folder / SHARD
    data = path.read_bytes()
    path.write_bytes(data[:-5000])
    assert troubles(published) == [f"{SHARD}: truncated: {len(data) - 5000:,} bytes, shards.jsonl says {len(data):,}"]


def test_a_flipped_bit_of_audio_names_its_sample(published: Published) -> None:
    row = published.metadata.filter(shard=SHARD).row(1, named=True)
    _flip(published.folder / SHARD, row["audio_offset"] + 7)
    changed, audio = troubles(published)
    assert changed.startswith(f"{SHARD}: changed: its sha256 is ")
    assert audio == f"{SHARD}: audio_sha256 differs from the table: {row['segment_id']}"


def test_a_flipped_bit_of_a_whole_episode(published: Published) -> None:
    row = published.episodes.row(0, named=True)
    _flip(published.folder / row["shard"], row["audio_offset"] + 100)
    assert f"{row['shard']}: audio_sha256 differs from the table: {row['episode_id']}" in troubles(published)


def test_a_flipped_bit_of_a_header(published: Published) -> None:
    row = published.metadata.filter(shard=SHARD).sort("json_offset").row(2, named=True)
    _flip(published.folder / SHARD, row["json_offset"] - 512 + 3)
    found = troubles(published)
    assert found[0].startswith(f"{SHARD}: changed")
    assert len(found) > 1


@pytest.mark.parametrize("where", ["padding", "end"])
def test_a_flipped_bit_between_samples(published: Published, where: str) -> None:
    row = published.metadata.filter(shard=SHARD).row(0, named=True)
    at = (
        row["audio_offset"] + row["audio_size"] if where == "padding" else (published.folder / SHARD).stat().st_size - 9
    )
    assert where == "end" or row["audio_size"] % 512
    _flip(published.folder / SHARD, at)
    assert troubles(published)[0].startswith(f"{SHARD}: changed: its sha256 is ")


def test_missing(published: Published) -> None:
    (published.folder / SHARD).unlink()
    assert troubles(published) == [f"{SHARD}: missing"]


def test_extra(published: Published) -> None:
    shutil.copy(published.folder / SHARD, published.folder / "data/en/train/audio_000099.tar")
    assert troubles(published) == ["data/en/train/audio_000099.tar: extra: shards.jsonl does not list it"]


def test_rows_that_are_missing(published: Published) -> None:
    (lost,) = published.metadata.filter(shard=SHARD)["segment_id"].head(1)
    change_table(published, "metadata/en/b1.parquet", lambda t: t.filter(pl.col("segment_id") != lost))
    assert troubles(published) == [f"{SHARD}: missing rows: no table has rows of {lost}"]


def test_a_table_that_is_missing(published: Published) -> None:
    (published.folder / "metadata/de/b2.parquet").unlink()
    found = troubles(published)
    assert found
    assert all(t.startswith("data/de/train/") and "missing rows" in t for t in found)


def test_samples_that_are_missing(published: Published) -> None:
    """A tar of which somebody took out the last sample, and told the list."""
    rows = published.metadata.filter(shard=SHARD).sort("audio_offset")
    last = rows.row(-1, named=True)
    data = (published.folder / SHARD).read_bytes()[: last["json_offset"] - 512] + END
    (published.folder / SHARD).write_bytes(data)
    told = [
        s if s.path != SHARD else replace(s, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for s in published.shards
    ]
    relist(published, *told)
    assert troubles(published) == [
        f"{SHARD}: it holds {rows.height - 1} samples, shards.jsonl says {rows.height}",
        f"{SHARD}: missing samples: tables have rows of {last['segment_id']}",
        f"{SHARD}: the tables have another sha256 for it than shards.jsonl",
    ]


@pytest.mark.parametrize("column", ["audio_offset", "audio_size", "json_offset", "json_size"])
def test_a_table_with_another_place(published: Published, column: str) -> None:
    wrong = published.metadata.filter(shard=SHARD)["segment_id"][0]
    moved = pl.when(pl.col("segment_id") == wrong).then(pl.col(column) + 512).otherwise(pl.col(column))
    change_table(published, "metadata/en/b1.parquet", lambda t: t.with_columns(moved.alias(column)))
    assert troubles(published) == [f"{SHARD}: {column} differs from the table: {wrong}"]


def test_a_row_that_is_there_twice(published: Published) -> None:
    one = published.metadata.filter(shard=SHARD).head(1)
    change_table(published, "metadata/en/b1.parquet", lambda t: pl.concat([t, one]))
    assert troubles(published) == [f"{SHARD}: 1 duplicate rows"]


def test_a_shard_that_is_not_listed_any_more(published: Published) -> None:
    relist(published, *(s for s in published.shards if s.path != SHARD))
    assert troubles(published) == [
        f"{SHARD}: extra: shards.jsonl does not list it",
        f"metadata/en/b1.parquet: rows of {SHARD}, which shards.jsonl does not list",
    ]


def test_a_table_that_cannot_be_read(published: Published) -> None:
    path = published.folder / "metadata/en/b1.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    found = troubles(published)
    assert found[-1].startswith("metadata/en/b1.parquet: cannot be read: ")
    with pytest.raises(BadInput, match="is damaged: "):
        list(draw_samples(open_dataset(str(published.folder)), 100))


def test_a_table_with_flipped_bits_is_no_reason_to_give_up(published: Published) -> None:
    path = published.folder / "metadata/en/b1.parquet"
    whole = path.read_bytes()
    told = 0
    for at in range(8, len(whole), len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        told += bool(troubles(published))
    assert told


def test_a_list_that_cannot_be_read(published: Published) -> None:
    path = published.folder / "shards.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    (found,) = troubles(published)
    assert found.startswith("shards.jsonl: line ")


@pytest.mark.parametrize(
    ("pieces", "what"),
    [
        ([("a.json", b"{}"), ("b.flac", b"x")], "b.flac at byte 1,024 is out of order"),
        ([("a.flac", b"x"), ("a.json", b"{}")], "a.flac at byte 0 is out of order"),
        ([("a.json", b"{}"), ("a.flac", b"x"), ("b.json", b"{}")], "b has no audio"),
        ([("a.json", b"{}"), ("a.flac", b"x")] * 2, "a.flac at byte 3,072 is out of order"),
    ],
)
def test_what_is_no_shard(published: Published, pieces: list[tuple[str, bytes]], what: str) -> None:
    data = b"".join(member_bytes(*p) for p in pieces) + END
    (published.folder / SHARD).write_bytes(data)
    told = [
        s if s.path != SHARD else replace(s, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for s in published.shards
    ]
    relist(published, *told)
    (found,) = troubles(published)
    assert found.startswith(f"{SHARD}: {what}")


def test_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"has no shards\.jsonl"):
        verify_dataset(open_dataset(str(tmp_path)))
    with pytest.raises(Misconfigured, match="neither a folder nor a dataset of the Hub"):
        open_dataset(str(tmp_path / "nowhere"))


def test_memory_does_not_grow_with_a_shard(tmp_path: Path) -> None:
    audio = bytes(96 << 20)
    data = b"".join((member_bytes("a.json", b"{}"), member_bytes("a.flac", audio), END))
    digest = hashlib.sha256(data).hexdigest()
    shard = PublishedShard("data/en/train/audio_000000.tar", digest, len(data), 1, 1.0, "en", "train", "segments", ())
    (tmp_path / "data/en/train").mkdir(parents=True)
    (tmp_path / shard.path).write_bytes(data)
    (tmp_path / "shards.jsonl").write_bytes(format_shard_list([shard]))
    del audio, data
    tracemalloc.start()
    try:
        found = verify_dataset(open_dataset(str(tmp_path)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [t.what for t in found.troubles] == ["missing rows: no table has rows of it"]
    assert most < 16 << 20


@pytest.mark.store
def test_in_a_bucket(made: Published, bucket: str) -> None:
    place = Store.at(f"{bucket}/dataset")
    for path in made.folder.rglob("*"):
        if path.is_file():
            place.write(path.relative_to(made.folder).as_posix(), path.read_bytes())
    found = verify_dataset(open_dataset(f"{bucket}/dataset"))
    assert (found.troubles, found.samples) == ([], 52)
    place.write(SHARD, place.read(SHARD)[:-1024])
    assert [t.path for t in verify_dataset(open_dataset(f"{bucket}/dataset")).troubles] == [SHARD]


# -- samples


class Counted(StoredDataset):
    """A dataset that counts what is read of its shards."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Store.at(folder))
        self.read = 0

    def seekable(self, path: str) -> Any:
        found, outer = super().seekable(path), self
        if not path.endswith(".tar"):
            return found

        class Reader(io.RawIOBase):
            def seek(self, to: int, whence: int = 0) -> int:
                return found.seek(to, whence)

            def read(self, size: int = -1) -> bytes:
                data = found.read(size)
                outer.read += len(data)
                return data

        return Reader()

    def open(self, path: str) -> Any:
        assert not path.endswith(".tar"), "a shard must not be read whole"
        return super().open(path)


def test_samples_are_read_by_ranges(published: Published) -> None:
    dataset = Counted(published.folder)
    found = list(draw_samples(dataset, 3, seed=1))
    assert len(found) == 3
    assert dataset.read == sum(512 + len(h.audio) for h in found)
    known = published.samples()
    assert {
        h.row["segment_id"]: (h.row["text"], hashlib.sha256(h.audio).hexdigest()) for h in found
    }.items() <= known.items()
    assert {h.suffix for h in found} == {"flac"}


def test_samples_are_chosen(published: Published) -> None:
    dataset = open_dataset(str(published.folder))

    def keys(count: int, **how: Any) -> list[str]:
        return [h.row["segment_id"] for h in draw_samples(dataset, count, **how)]

    assert keys(5, seed=7) == keys(5, seed=7)
    assert set(keys(1000)) == set(published.samples())
    assert set(keys(1000, language="de", split="test")) == set(published.samples("de", "test"))
    with pytest.raises(Misconfigured, match="no samples of xx; it has: de test, de train, en test, en train"):
        keys(1, language="xx")


def test_a_damaged_sample_is_not_given_out(published: Published) -> None:
    for row in published.metadata.iter_rows(named=True):
        _flip(published.folder / row["shard"], row["audio_offset"] + 11)
    with pytest.raises(BadInput, match="is damaged"):
        list(draw_samples(open_dataset(str(published.folder)), 1))


def test_a_shard_of_which_rows_are_missing_gives_no_fewer_samples(published: Published) -> None:
    path = next(published.folder.glob("metadata/en/*.parquet"))
    table = pl.read_parquet(path)
    table.filter(pl.int_range(pl.len()) > 0).write_parquet(path)
    with pytest.raises(
        BadInput, match=r"is damaged: its tables have \d+ rows of data/en/\w+/audio_\d+.tar, which has \d+ samples"
    ):
        list(draw_samples(open_dataset(str(published.folder)), 1000))


# -- the command


def command(place: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PODCAST_"))}
    return forked.command("dataset", *map(str, arguments), environment=clean | environment, cwd=place)


def test_the_command_of_a_folder(published: Published, tmp_path: Path) -> None:
    good = command(tmp_path, "verify", published.folder)
    assert good.returncode == 0
    assert good.stdout.strip().endswith("no problems found")
    (published.folder / SHARD).unlink()
    bad = command(tmp_path, "verify", published.folder, "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["troubles"] == [{"path": SHARD, "what": "missing"}]
    none = command(tmp_path, "verify", published.folder / "data")
    assert none.returncode == 2
    assert "has no shards.jsonl" in none.stderr


def test_the_command_saves_samples(published: Published, tmp_path: Path) -> None:
    result = command(tmp_path, "sample", published.folder, "-n", "2", "--save", tmp_path / "heard", "--language", "de")
    assert result.returncode == 0, result.stderr
    assert "SPEAKER" in result.stdout or "unknown speaker" in result.stdout
    known = published.metadata
    for path in (tmp_path / "heard").glob("*.flac"):
        (row,) = known.filter(segment_id=path.stem).iter_rows(named=True)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["audio_sha256"]
        assert json.loads(path.with_suffix(".json").read_text())["text"] == row["text"]
    assert len(list((tmp_path / "heard").iterdir())) == 4


@pytest.fixture
def repo(hub: HubDouble, tmp_path: Path) -> HubDouble:
    """The Hub with the dataset."""
    publish_to(HubTarget(REPO, endpoint=hub.url, token=TOKEN), tmp_path / "store", episodes=True)
    return hub


def test_on_the_hub(repo: HubDouble, tmp_path: Path) -> None:
    where = {"HF_ENDPOINT": repo.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}
    good = command(tmp_path, "verify", REPO, "--json", **where)
    assert good.returncode == 0, good.stdout + good.stderr
    assert json.loads(good.stdout)["samples"] == 52
    began = len(repo.requests)
    heard = command(tmp_path, "sample", f"{REPO}@main", "-n", "2", "--json", **where)
    assert heard.returncode == 0, heard.stderr
    assert len(heard.stdout.splitlines()) == 2
    assert len(repo.requests) > began
    entry = repo.repos[REPO].commits[str(repo.repos[REPO].resolve("main"))].tree[SHARD]
    blob = repo.blobs.path(entry.sha256)
    blob.chmod(0o644)
    _flip(blob, 700)
    bad = command(tmp_path, "verify", REPO, "--json", **where)
    assert bad.returncode == 1
    assert {t["path"] for t in json.loads(bad.stdout)["troubles"]} == {SHARD}


def test_a_repository_that_is_not_there(hub: HubDouble, tmp_path: Path) -> None:
    result = command(tmp_path, "verify", "tester/nothing", HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.count("\n") <= 3
    assert "tester/nothing" in result.stderr


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def test_the_command_plays(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with loudspeakers; here they are a list."""
    played: list[tuple[int, int]] = []
    device = types.ModuleType("sounddevice")
    device.play = lambda samples, rate: played.append((len(samples), rate))  # type: ignore[attr-defined]
    device.wait = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    result = CliRunner().invoke(dataset_commands, ["sample", str(published.folder), "-n", "48", "--play"])
    assert result.exit_code == 0, result.output
    assert sorted(played) == sorted((round(d * 16_000), 16_000) for d in published.metadata["duration"])


def test_a_hub_that_stops_answering_is_no_damage(repo: HubDouble, tmp_path: Path) -> None:
    repo.fault("GET", SHARD, 403, times=100)
    result = command(tmp_path, "verify", REPO, HF_ENDPOINT=repo.url, HF_TOKEN=TOKEN, HF_HOME=str(tmp_path))
    assert result.returncode == 2, result.stdout + result.stderr
    assert "cannot be read from" in result.stderr
    assert "Traceback" not in result.stderr
