"""A bucket whose network and server fail: nothing is lost, nothing is half there, and to do it again ends where it should."""

import datetime
import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import tenacity

from podcast_assets.common.errors import StoreTrouble
from podcast_assets.store.backends import bucket as buckets
from podcast_assets.store.schema import FAILURES, empty_table
from podcast_assets.store.store import Store
from podcast_assets_tests.servers import s3

pytestmark = pytest.mark.store

BIG = 2 * buckets.PART + 12_345


@pytest.fixture
def proxy(bucket: str, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Proxy]:
    """A proxy before the server, which clients take for the server. They are in a hurry to try again."""
    backoff = {name: datetime.timedelta(milliseconds=10) for name in ("init_backoff", "max_backoff")}
    monkeypatch.setitem(buckets.RETRY, "backoff", {**backoff, "base": 2})
    monkeypatch.setattr(buckets._RETRY, "wait", tenacity.wait_fixed(0.01))
    with s3.proxy(s3_server["AWS_ENDPOINT_URL_S3"]) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.url)
        yield between


@pytest.fixture
def spoiled(bucket: str, proxy: s3.Proxy) -> Store:
    """The store through the proxy."""
    return Store.at(bucket)


@pytest.fixture
def direct(bucket: str, s3_server: dict[str, str], spoiled: Store) -> "Direct":
    return Direct(spoiled, s3_server)


class Direct:
    """What really lies in the bucket, asked past the proxy."""

    def __init__(self, store: Store, environment: dict[str, str]) -> None:
        self.store, self.environment = store, environment

    def __enter__(self) -> Store:
        self.before = os.environ["AWS_ENDPOINT_URL_S3"]
        os.environ["AWS_ENDPOINT_URL_S3"] = self.environment["AWS_ENDPOINT_URL_S3"]
        return self.store

    def __exit__(self, *_: object) -> None:
        os.environ["AWS_ENDPOINT_URL_S3"] = self.before

    def files(self) -> dict[str, bytes]:
        with self as store:
            return {e.key: store.read(e.key) for e in store.list("")}


@pytest.mark.parametrize("kind", [*s3.TRANSIENT_FAULTS, "all of them"])
def test_what_passes_when_asked_again_is_not_even_noticed(
    kind: str, proxy: s3.Proxy, spoiled: Store, direct: Direct, tmp_path: Path
) -> None:
    faults = list(s3.TRANSIENT_FAULTS.values()) if kind == "all of them" else [s3.TRANSIENT_FAULTS[kind]]
    proxy.spoil_some(*faults, every=3)
    data = {f"a/{n}": random.Random(n).randbytes(size) for n, size in enumerate((10, 5_000, BIG))}
    for key, content in data.items():
        if len(content) > buckets.PART:
            (tmp_path / "file").write_bytes(content)
            spoiled.upload(tmp_path / "file", key)
        else:
            spoiled.write(key, content)
    stored = spoiled.put_original(io.BytesIO(data["a/2"]), ".mp3")
    for key, content in data.items():
        assert spoiled.exists(key)
        assert spoiled.read(key) == content
        with spoiled.open(key) as f:
            assert f.read() == content
        with spoiled.local_copy(key) as path:
            assert path.read_bytes() == content
    assert {e.key for e in spoiled.list("a")} == set(data)
    assert spoiled.names("a") == {"0", "1", "2"}
    assert direct.files() == data | {stored.key: data["a/2"]}
    spoiled.remove("a")
    assert direct.files().keys() == {stored.key}
    assert proxy.spoiled > 3


@pytest.mark.parametrize("second", ["cut before", "answer lost", "cut in the middle"])
def test_a_removal_is_asked_again_where_one_trouble_follows_another(
    second: str, proxy: s3.Proxy, spoiled: Store, direct: Direct
) -> None:
    """Once it has asked again after a 503, obstore gives up at a broken connection: twice might not be once."""
    for n in range(3):
        spoiled.write(f"a/{n}", b"x")
    troubles = [s3.TRANSIENT_FAULTS["503"], s3.TRANSIENT_FAULTS[second]]
    proxy.fault = lambda request: troubles.pop(0) if request.method == "POST" and troubles else None
    spoiled.remove("a")
    assert troubles == []
    assert direct.files() == {}


@pytest.mark.parametrize("kind", ["500", "cut before", "cut in the middle"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_server_that_goes_away_in_the_middle_leaves_what_was_there(
    kind: str, after: int, proxy: s3.Proxy, spoiled: Store, direct: Direct, tmp_path: Path
) -> None:
    """An upload of three parts, given up after some of its requests, and done again when the server is back."""
    file = tmp_path / "file"
    file.write_bytes(random.Random(1).randbytes(BIG))
    spoiled.write("old", b"old")
    begun = len(proxy.seen)
    proxy.fault = lambda _: s3.TRANSIENT_FAULTS[kind] if len(proxy.seen) - begun > after else None
    for key in ("new", "old"):
        with pytest.raises(StoreTrouble, match=r"the server answered 500|cannot be reached"):
            spoiled.upload(file, key)
    found = direct.files()  # where only the answer is cut, the server has done it all
    assert found["old"] in (b"old", file.read_bytes())
    assert found.get("new", file.read_bytes()) == file.read_bytes()
    proxy.fault = lambda _: None
    for key in ("new", "old"):
        spoiled.upload(file, key)
    assert direct.files() == dict.fromkeys(("new", "old"), file.read_bytes())


def test_a_table_is_the_old_one_or_the_new_one(proxy: s3.Proxy, spoiled: Store, direct: Direct) -> None:
    table = empty_table(FAILURES)
    spoiled.write_table("t", table, {"version": "old"})
    proxy.fault = lambda _: s3.cut_before
    with pytest.raises(StoreTrouble):
        spoiled.write_table("t", table, {"version": "new"})
    with direct as store:
        found = store.read_noted_table("t", FAILURES)
    assert found is not None
    assert found[1]["version"] == "old"
    with pytest.raises(StoreTrouble):  # a table that cannot be asked for is not taken for none
        spoiled.read_table("t", FAILURES)


@pytest.mark.parametrize("fails", [s3.answer(503, "SlowDown"), s3.cut_before, s3.answer(403, "AccessDenied")])
def test_a_listing_that_fails_is_not_an_empty_one(fails: s3.Fault, proxy: s3.Proxy, spoiled: Store) -> None:
    spoiled.write("incoming/a.tar", b"1")
    proxy.fault = lambda _: fails
    for look in (
        lambda: list(spoiled.list("incoming")),
        lambda: spoiled.names("incoming"),
        lambda: spoiled.exists("a"),
    ):
        with pytest.raises(StoreTrouble):
            look()


def test_what_is_sent_and_what_arrives_are_compared(proxy: s3.Proxy, spoiled: Store, direct: Direct) -> None:
    proxy.fault = lambda r: s3.spoil_request if r.method == "PUT" else None
    with pytest.raises(StoreTrouble, match="uploads arrive corrupted"):
        spoiled.write("a", b"some bytes")
    assert direct.files() == {}


def test_a_server_whose_tags_are_no_md5_is_read_back(proxy: s3.Proxy, spoiled: Store, tmp_path: Path) -> None:
    proxy.fault = lambda r: s3.other_tag if "uploads" not in r.path and "partNumber" not in r.path else None
    (tmp_path / "file").write_bytes(random.Random(1).randbytes(BIG))
    spoiled.write("small", b"some bytes")
    spoiled.upload(tmp_path / "file", "large")
    assert any(r.method == "GET" and r.path.endswith("/large") for r in proxy.seen)
    spoils = {"PUT": s3.other_tag, "GET": s3.other_content}
    proxy.fault = lambda r: spoils.get(r.method) if r.path.endswith("/small") else None
    with pytest.raises(StoreTrouble, match="uploads arrive corrupted"):
        spoiled.write("small", b"other bytes")
    proxy.fault = lambda _: None
    assert not spoiled.exists("small")
    assert spoiled.exists("large")


def test_a_file_that_is_replaced_while_it_is_read_is_no_mixture(spoiled: Store, direct: Direct) -> None:
    spoiled.write("incoming/a.tar", b"1" * BIG)
    with spoiled.open("incoming/a.tar") as f:
        assert f.read(1) == b"1"
        with direct as store:
            store.write("incoming/a.tar", b"2" * BIG)
        with pytest.raises(OSError, match="was replaced while it was being read"):
            f.read()


def test_uploads_of_killed_processes_are_ended(proxy: s3.Proxy, spoiled: Store, tmp_path: Path) -> None:
    """Parts that were never put together, which no listing shows."""
    file = tmp_path / "file"
    file.write_bytes(b"1" * BIG)
    proxy.fault = lambda r: s3.cut_before if "uploadId" in r.path and r.method in ("POST", "DELETE") else None
    for key in ("tables/a", "incoming/b"):
        with pytest.raises(StoreTrouble):
            spoiled.upload(file, key)
    proxy.fault = lambda _: None
    now = datetime.datetime.now(datetime.UTC).timestamp()
    assert spoiled.remove_unfinished_uploads(now - 600, ()) == 0
    assert spoiled.remove_unfinished_uploads(now + 600, {"incoming"}) == 1
    assert spoiled.remove_unfinished_uploads(now + 600, ()) == 1
    assert spoiled.remove_unfinished_uploads(now + 600, ()) == 0


def test_many_tables_through_a_bad_network_at_once(proxy: s3.Proxy, spoiled: Store, direct: Direct) -> None:
    from concurrent.futures import ThreadPoolExecutor

    proxy.spoil_some(*s3.TRANSIENT_FAULTS.values(), every=5)
    tables = {f"t/{n}": pl.DataFrame({"n": [n]}) for n in range(60)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: spoiled.write_table(*item), tables.items()))
    assert {k: pl.read_parquet(io.BytesIO(v)) for k, v in direct.files().items()}.keys() == tables.keys()
    for key, content in direct.files().items():
        assert pl.read_parquet(io.BytesIO(content)).equals(tables[key])
