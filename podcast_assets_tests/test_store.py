"""What lies in the store is whole, or is not there."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.schema import FAILURES, SEGMENTS, empty
from podcast_assets.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


def files(store: Store) -> list[str]:
    root = Path(str(store.root))
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_write_that_fails_leaves_what_was_there(store: Store) -> None:
    store.write("tables/a.bin", b"old")
    with pytest.raises(RuntimeError), store.writing("tables/a.bin") as f:
        f.write(b"half of the n")
        raise RuntimeError("killed")
    assert store.path("tables/a.bin").read_bytes() == b"old"
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
    assert store.path(first.key).read_bytes() == data


def test_a_stream_that_breaks_leaves_no_original(store: Store) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("connection reset")

    with pytest.raises(OSError, match="connection reset"):
        store.put_original(Broken(), ".mp3")
    assert files(store) == []


def test_a_table_comes_back_as_it_was_and_not_under_other_columns(store: Store) -> None:
    table = empty(SEGMENTS)
    store.write_table("tables/x/b.parquet", table)
    back = store.read_table("tables/x/b.parquet", SEGMENTS)
    assert back is not None
    assert back.equals(table)
    assert store.read_table("tables/x/b.parquet", FAILURES) is None
    assert store.read_table("tables/x/none.parquet", SEGMENTS) is None


def test_tables_written_twice_have_the_same_bytes(store: Store) -> None:
    table = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    for name in "ab":
        store.write_table(name, table)
    assert store.path("a").read_bytes() == store.path("b").read_bytes()


def test_any_fsspec_store_will_do() -> None:
    store = Store.at("memory://bucket/prefix")
    store.write("k/a.txt", b"1")
    with store.writing("k/b.txt") as f:
        f.write(b"2")
    original = store.put_original(io.BytesIO(b"audio"), ".mp3")
    with store.local_copy(original.key) as path:
        assert path.read_bytes() == b"audio"
    assert store.path("k/b.txt").read_bytes() == b"2"
    store.remove("k")
    assert not store.exists("k/a.txt")


def test_a_batch_is_held_by_one_process_until_its_death(store: Store) -> None:
    """Two runs of one batch take turns; a killed one does not keep its turn."""
    program = (
        "import sys, time; from podcast_assets.store import Store\n"
        "with Store.at(sys.argv[1]).batch_lock('b'): print('held', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", program, str(store.root)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    second = None
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=3)
        first.kill()
        assert second.stdout is not None
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
