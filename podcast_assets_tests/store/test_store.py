"""What lies in the store is whole, or is not there."""

import hashlib
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.store.backends.bucket import PART
from podcast_assets.store.schema import FAILURES, PROVENANCE, SEGMENTS, empty_table, make_table
from podcast_assets.store.store import Store


def files(store: Store) -> list[str]:
    return sorted(e.key for e in store.list("") if not e.key.startswith("scratch/"))


def test_a_write_that_fails_leaves_what_was_there(store: Store) -> None:
    store.write("tables/a.bin", b"old")
    with pytest.raises(RuntimeError), store.writing("tables/a.bin") as f:
        f.write(b"half of the n")
        raise RuntimeError("killed")
    assert store.read("tables/a.bin") == b"old"
    assert files(store) == ["tables/a.bin"]


def test_originals_lie_under_their_content_once(store: Store) -> None:
    data = b"some audio" * 300_000
    first = store.put_original(io.BytesIO(data), ".mp3")
    second = store.put_original(io.BytesIO(data), ".mp3")
    assert first == second
    assert first.sha256 == hashlib.sha256(data).hexdigest()
    assert first.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert first.bytes == len(data)
    assert files(store) == [first.key]
    assert store.read(first.key) == data


def test_a_stream_that_breaks_leaves_no_original(store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("connection reset")

    with pytest.raises(OSError, match="connection reset"):
        store.put_original(Broken(), ".mp3")
    assert files(store) == []


def test_a_table_comes_back_as_it_was_and_not_under_other_columns(store: Store) -> None:
    table = empty_table(SEGMENTS)
    store.write_table("tables/x/b.parquet", table)
    back = store.read_table("tables/x/b.parquet", SEGMENTS)
    assert back is not None
    assert back.equals(table)
    assert store.read_table("tables/x/b.parquet", FAILURES) is None
    assert store.read_table("tables/x/none.parquet", SEGMENTS) is None


def test_a_table_of_an_earlier_version_is_read_with_nulls_in_the_columns_that_it_lacks(store: Store) -> None:
    row = dict.fromkeys(PROVENANCE) | {"episode_id": "a", "fingerprint": "f"}
    table = make_table([row], PROVENANCE)
    store.write_table("tables/x/old.parquet", table.drop("redone"))
    back = store.read_table("tables/x/old.parquet", PROVENANCE)
    assert back is not None
    assert back.equals(table)
    store.write_table("tables/x/other.parquet", table.drop("fallback"))
    assert store.read_table("tables/x/other.parquet", PROVENANCE) is None


def test_tables_written_twice_have_the_same_bytes(store: Store) -> None:
    table = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    for name in "ab":
        store.write_table(name, table)
    assert store.read("a") == store.read("b")


def test_folders_are_removed_with_all_that_is_in_them_and_nothing_else(store: Store) -> None:
    store.write("k/a.txt", b"1")
    store.write("kk/a.txt", b"1")
    with store.writing("k/b.txt") as f:
        f.write(b"2")
    original = store.put_original(io.BytesIO(b"audio"), ".mp3")
    with store.local_copy(original.key) as path:
        assert path.read_bytes() == b"audio"
    assert store.read("k/b.txt") == b"2"
    assert store.names("k") == {"a.txt", "b.txt"}
    assert store.names("") >= {"audio", "k", "kk"}
    store.remove("k")
    store.remove("k")
    store.remove(original.key)
    assert files(store) == ["kk/a.txt"]
    assert store.names("k") == set()


def test_a_batch_is_held_by_one_process_until_its_death(store: Store) -> None:
    """Two runs of one batch take turns; a killed one does not keep its turn."""
    program = (
        "import logging, sys, time; from podcast_assets.store.store import Store\n"
        "logging.basicConfig(level='INFO', stream=sys.stdout, format='%(message)s')\n"
        "with Store.at(sys.argv[1]).batch_lock('b'): print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(store.root)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    second = None
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "b: waiting for another run of this batch\n"
        first.kill()
        assert second.stdout.readline() == "held\n"
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    store = Store.at(f"file://{tmp_path}")
    assert store.is_local
    store.write("a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"


def test_what_is_not_there_is_not_there(store: Store) -> None:
    assert not store.exists("a/b")
    assert list(store.list("a")) == []
    for read in (store.read, store.open):
        with pytest.raises(FileNotFoundError):
            read("a/b")
    with pytest.raises(FileNotFoundError), store.local_copy("a/b") as path:
        path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 5])
def test_files_of_any_size_come_back_as_they_were(store: Store, tmp_path: Path, size: int) -> None:
    """Uploads of more than one part among them."""
    file = tmp_path / "file"
    file.write_bytes(random.Random(size).randbytes(size))
    store.upload(file, "a/file")
    assert store.read("a/file") == file.read_bytes()
    with store.local_copy("a/file") as path:
        assert path.read_bytes() == file.read_bytes()
    with store.writing("a/other") as f:
        f.write(b"0" + file.read_bytes()[1:])
        f.seek(0)
        f.write(file.read_bytes()[:1])
    assert store.read("a/other")[:size] == file.read_bytes()
    (entry,) = (e for e in store.list("a") if e.key == "a/file")
    assert (entry.bytes, entry.trouble) == (size, None)
    assert abs(entry.modified - time.time()) < 600


def test_a_file_is_known_again_and_another_one_of_its_size_is_not(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    assert not store.holds(file, "a")
    store.upload(file, "a")
    if store.is_local:  # where the time of change has to be kept
        os.utime(Path(str(store.path("a"))), (file.stat().st_atime, file.stat().st_mtime))
    assert store.holds(file, "a")
    file.write_bytes(b"two")
    os.utime(file, (1, 1))
    assert not store.holds(file, "a")


def test_a_stream_seeks_and_ends_as_a_file_does(store: Store) -> None:
    data = random.Random(0).randbytes(PART + 1000)
    store.write("a", data)
    with store.open("a") as f:
        assert f.read(3) == data[:3]
        assert f.seek(-5, os.SEEK_END) == len(data) - 5
        assert f.read() == data[-5:]
        assert f.read(1) == b""
        f.seek(PART - 2)
        assert f.read(10) == data[PART - 2 : PART + 8]
        f.seek(len(data) + 10)
        assert f.read() == b""


@pytest.mark.parametrize("name", ["Episode #1 (50%).mp3", "ä ö+&=?;~'.mp3", "日本.mp3", "%2e%2e", "a b"])
def test_names_of_any_script_are_kept(store: Store, name: str) -> None:
    store.write(f"incoming/b/{name}", b"1")
    assert store.names("incoming/b") == {name}
    assert [e.key for e in store.list("incoming")] == [f"incoming/b/{name}"]
    assert store.read(f"incoming/b/{name}") == b"1"
    store.remove(f"incoming/b/{name}")
    assert files(store) == []


@pytest.mark.parametrize("url", ["ftp://host/folder", "s3://key:secret@bucket/prefix", "nonsense://x", "s3://"])
def test_what_cannot_be_a_store_is_said_without_secrets(url: str) -> None:
    with pytest.raises(Misconfigured, match="PODCAST_STORE must be") as told:
        Store.at(url).exists("a")
    assert "secret" not in str(told.value).replace("AWS_SECRET_ACCESS_KEY", "")


def test_locks_of_stores_at_different_servers_are_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(Misconfigured, match="SecretAccessKey is missing"):
        Store.at("s3://bucket/a").exists("a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    locks = set()
    for endpoint in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        locks |= {Store.at(f"s3://bucket/{prefix}").storage.lock("b") for prefix in ("a", "b", "b/")}
    assert len(locks) == 4


def test_many_files_are_written_at_once(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    assert store.write_all((f"many/{n}", bytes([n])) for n in range(100)) == 100
    assert {name: store.read(f"many/{name}") for name in store.names("many")} == {
        str(n): bytes([n]) for n in range(100)
    }


def test_one_of_many_files_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("taken", b"a file")
    with pytest.raises(OSError, match="taken"):
        store.write_all([("fine", b"1"), ("taken/below", b"2")])
