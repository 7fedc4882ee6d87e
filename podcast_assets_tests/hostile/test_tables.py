"""Tables that crash, fill or keep busy what reads them cost their own rows, and are named."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.common.limited_calls import LimitedCalls
from podcast_assets.intake import batch_metadata, links
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.batch_metadata import MetadataSource, read_metadata
from podcast_assets.intake.feeds.subscriptions import read_subscriptions
from podcast_assets.intake.links import read_link_list
from podcast_assets.intake.table_limits import MAX_DEPTH, MAX_ROW_BYTES, MAX_ROW_VALUES
from podcast_assets.intake.unpack import read_batch_metadata, unpack
from podcast_assets.store.store import Store

pytestmark = pytest.mark.hostile

ZEROS = 40_000_000
DEEP = "[" * 900 + "]" * 900


def nested(levels: int) -> pa.Array:
    """A row of structs in structs."""
    found = pa.array([1])
    for _ in range(levels):
        found = pa.StructArray.from_arrays([found], ["x"])
    return found


def lists(*lengths: int) -> pa.Array:
    """Rows of lists of zeros, of which a gigabyte takes a kilobyte."""
    ends = np.cumsum([0, *lengths]).astype(np.int64)
    return pa.LargeListArray.from_arrays(ends, np.zeros(ends[-1], np.int64))


def write(path: Path, **columns: object) -> bytes:
    pq.write_table(pa.table(columns), path, compression="zstd")
    return path.read_bytes()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Content by name; each has a row for the episode `a`."""
    folder = tmp_path_factory.mktemp("tables")
    few = [0] * 998
    return {
        "deep.parquet": write(folder / "1", meta_id=["a"], url=["https://x.example/1.mp3"], x=nested(400)),
        "less-deep.parquet": write(folder / "2", meta_id=["a"], url=["https://x.example/1.mp3"], x=nested(60)),
        "zeros.parquet": write(
            folder / "3", meta_id=["a"], url=["https://x.example/1.mp3"], x=lists(2 * MAX_ROW_VALUES)
        ),
        "many.parquet": write(
            folder / "4",
            meta_id=["a", *(f"b{n}" for n in range(len(few)))],
            url=["https://x.example/1.mp3"] * (1 + len(few)),
            x=lists(3 * MAX_ROW_VALUES, *few),
        ),
        "large.parquet": write(
            folder / "5", meta_id=["a"], url=["https://x.example/1.mp3"], x=["x" * (MAX_ROW_BYTES + 1)]
        ),
        "deep.jsonl": f'{{"meta_id": "a", "url": "https://x.example/1.mp3", "x": {DEEP}}}\n'.encode(),
        "deeper.jsonl": f'{{"meta_id": "a", "url": "https://x.example/1.mp3", "x": {DEEP * 100}}}\n'.encode(),
    }


def test_each_is_named_and_the_batch_goes_on(tmp_path: Path, hostile: dict[str, bytes]) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/show/a.mp3", b"audio")
    store.write("incoming/show/good.csv", b"meta_id,title\na,Good\n")
    for name, data in hostile.items():
        store.write(f"incoming/show/{name}", data)
    found = unpack(store, find_arrival(store, "show"))
    joined = read_batch_metadata(found)
    assert joined.of("a.mp3") == {"meta_id": "a", "title": "Good"}
    assert found.broken.keys() == hostile.keys()
    assert all(message.startswith(f"metadata {name} cannot be read as ") for name, message in found.broken.items())
    assert not found.skipped


def test_a_table_as_deep_as_real_ones_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write(path, meta_id=["a"], x=nested(MAX_DEPTH - 2))
    (row,) = read_metadata(["a.mp3"], [MetadataSource("m.parquet", path)], "meta_id").joined.rows.values()
    assert json.dumps(row).count("{") == MAX_DEPTH - 1


def test_lists_of_urls_and_feeds_have_the_same_limits(tmp_path: Path, hostile: dict[str, bytes]) -> None:
    for name, data in hostile.items():
        if name.endswith(".parquet"):
            with pytest.raises(BadInput, match=f"{name} cannot be read as parquet: "):
                read_link_list(name, data)
        else:
            found = read_link_list(name, data + b'{"url": "https://x.example/2.mp3"}\n')
            assert (len(found.links), found.broken.keys()) == (1, {f"{name}, row 1"})
    store = Store.at(tmp_path)
    for name, data in hostile.items():
        store.write(f"feeds/{name}", data)
    store.write("feeds/good.csv", b"url\nhttps://x.example/feed\n")
    feeds = read_subscriptions(store)
    assert feeds.troubles.keys() == {name for name in hostile if name.endswith(".parquet")}
    assert [feed.url for feed in feeds.feeds.values()] == ["https://x.example/feed"]


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    reader = LimitedCalls(1 << 30)
    monkeypatch.setattr(batch_metadata, "table_reader", reader)
    monkeypatch.setattr(links, "table_reader", reader)
    yield
    reader.processes.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose columns are within the limits one by one, and whose rows take 1 GiB of memory."""
    path, rows = tmp_path_factory.mktemp("full") / "full.parquet", 1 + ZEROS // MAX_ROW_VALUES
    write(path, meta_id=["b", *(f"c{n}" for n in range(rows - 1))], x=lists(ZEROS, *[0] * (rows - 1)))
    return path


@pytest.mark.usefixtures("little_memory")
def test_a_table_that_fills_memory_fails_alone_and_the_others_are_read_again(tmp_path: Path, full: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("meta_id,title\na,Good\nb,Also good\n")
    files = [MetadataSource("x/full.parquet", full), MetadataSource("x/good.csv", good)]
    found = read_metadata(["x/a.mp3", "x/b.mp3"], files, "meta_id")
    titles = {name: row["title"] for name, row in found.joined.rows.items()}
    assert titles == {"x/a.mp3": "Good", "x/b.mp3": "Also good"}
    assert found.broken == [
        ("x/full.parquet", "metadata x/full.parquet cannot be read: it needs more than 1 GiB of memory")
    ]


@pytest.mark.usefixtures("little_memory")
def test_a_reader_is_not_started_again_without_end(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_metadata, "MOST_CRASHES", 2)
    found = read_metadata(["b.mp3"], [MetadataSource(f"{n}.parquet", full) for n in range(4)], "meta_id")
    assert [name for name, _ in found.broken] == [f"{n}.parquet" for n in range(4)]
    assert [message.partition(" file")[0] for _, message in found.broken[2:]] == ["not read: 2 other metadata"] * 2
