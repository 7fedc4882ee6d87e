"""The store's disk is full, or read-only: one line that names it, and work goes on where it was once that is mended."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from podcast_assets.common.errors import StoreTrouble
from podcast_assets.store.schema import RAW_AUDIO
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.faults.made import assert_once, output_hashes
from podcast_assets_tests.faults.processes import in_the_middle, started
from podcast_assets_tests.faults.short import TRUNCATED, lay_out

pytestmark = pytest.mark.faults


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(place: Place) -> Iterator[Place]:
    """A place whose store is a file system of its own, of 64 MB, in memory."""
    store = place.folder / "store"
    store.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(store)):
        pytest.skip("mounting a small file system needs root on Linux")
    yield place
    subprocess.run(["umount", "--lazy", str(store)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    ballast = folder / "ballast"
    block = bytes(1 << 20)
    with ballast.open("wb", buffering=0) as f:
        while block:
            try:
                f.write(block)
            except OSError as error:
                assert error.errno == errno.ENOSPC
                block = block[: len(block) // 2]
    return ballast


def raw_audio(store: Store) -> pl.DataFrame:
    """The table, without the truncated file and the column that names other batches with the same bytes."""
    table = store.read_table(table_key("raw_audio", "sample"), RAW_AUDIO)
    assert table is not None
    return table.filter(pl.col("source") != TRUNCATED).drop("also_in")


def test_a_disk_that_fills_up_in_the_middle_of_a_stage(small_disk: Place, short_run: SampleRun) -> None:
    place, store = small_disk, small_disk.folder / "store"
    # whatever is decoded of the truncated file is removed again, which may leave room for the rest of the stage
    lay_out(short_run, place, without={TRUNCATED})
    for asset in ("raw_audio", "transcripts", "hf_shards"):
        process = started(place, "demo", stop_in=STAGES[asset])
        in_the_middle(place, STAGES[asset], asset, process.pid)
        ballast = fill(store)
        process.resume()
        assert process.wait() == 1
        last = process.err.strip().splitlines()[-1]
        print(last)
        assert f"failed: {asset}: the store {store} is full (" in last
        assert "free some space there, then materialize again" in last
        assert not place.store.exists(table_key(asset, "sample"))
        assert not list(store.rglob("*.part")), "nothing half-written is left"
        ballast.unlink()
    end = place.command("demo", "--json")
    assert end.returncode == 0, end.stderr
    found, expected = output_hashes(place.store), output_hashes(short_run.store)
    assert {**found, "raw_audio": expected["raw_audio"]} == expected
    assert_frame_equal(raw_audio(place.store), raw_audio(short_run.store))
    assert_once(place.store, files=4)


def test_a_read_only_store_is_named(small_disk: Place) -> None:
    place, store = small_disk, small_disk.folder / "store"
    assert mount("-o", "remount,ro", str(store))
    nothing = place.command("demo")
    assert nothing.returncode == 2
    assert nothing.stderr.count("\n") <= 3, nothing.stderr
    assert f"the store {store} is read-only (incoming/sample.tar could not be written): make it writable" in (
        nothing.stderr
    )
    assert mount("-o", "remount,rw", str(store))
    place.store.write("incoming/sample/water-history.opus", b"x")
    assert mount("-o", "remount,ro", str(store))
    known = place.command("backfill", "--here", "sample", "--profile", "demo")
    assert known.returncode == 1
    assert f"raw_audio: the store {store} is read-only (" in known.stderr


def test_a_write_that_a_library_swallows_is_no_success(tmp_path: Path) -> None:
    """libsndfile's callbacks drop exceptions. A double of a full disk: its writes fail once, then there is room again."""
    store = Store.at(tmp_path)
    full = r"the store .* is full \(a\.flac could not be written\)"
    with pytest.raises(StoreTrouble, match=full) as raised, store.writing("a.flac") as f:
        f.trouble = OSError(errno.ENOSPC, "No space left on device")  # type: ignore[attr-defined]
        f.write(b"all the rest")
    assert raised.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
