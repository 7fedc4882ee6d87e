"""What only buckets have: keys that are no paths, folders that are objects, servers that refuse, and secrets that must not leak."""

import contextlib
import math
import os
import resource
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tenacity

from podcast_assets.common.errors import BadInput, StoreTrouble, is_store_trouble
from podcast_assets.defs.janitor import sweep
from podcast_assets.intake.arrivals import find_arrival, list_incoming
from podcast_assets.intake.feeds.subscriptions import lists_signature
from podcast_assets.intake.place import place_inputs
from podcast_assets.intake.unpack import unpack
from podcast_assets.store.backends import bucket as buckets
from podcast_assets.store.backends import s3_api
from podcast_assets.store.store import Store
from podcast_assets_tests.archives import tar, zipped
from podcast_assets_tests.committed import commit_batch
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.servers import s3

pytestmark = pytest.mark.store

ASKING: dict[str, Callable[[Store], object]] = {
    "read": lambda store: store.read("a"),
    "write": lambda store: store.write("a", b"1"),
    "upload": lambda store: store.upload(Path(__file__), "a"),
    "list": lambda store: list(store.list("a")),
    "list a folder": lambda store: store.list_folder("a"),
    "names": lambda store: store.names("a"),
    "open": lambda store: store.open("a"),
    "remove": lambda store: store.remove("a"),
    "unfinished uploads": lambda store: store.remove_unfinished_uploads(time.time(), ()),
}


@pytest.fixture
def store(bucket: str) -> Store:
    return Store.at(bucket)


@pytest.fixture
def proxied(
    bucket: str, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Store, s3.Proxy]]:
    """A store behind a proxy that is told what to answer; nobody waits before trying again."""
    monkeypatch.setitem(buckets.RETRY, "max_retries", 0)
    monkeypatch.setattr(buckets._RETRY, "stop", tenacity.stop_after_attempt(1))
    with s3.proxy(s3_server["AWS_ENDPOINT_URL_S3"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        yield Store.at(bucket), proxy


def put(key: str, data: bytes = b"1") -> None:
    """An object by another tool, which puts up with any key."""
    import boto3

    boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"]).put_object(Bucket=s3.BUCKET, Key=key, Body=data)


def test_keys_that_are_no_paths_are_refused_one_by_one(store: Store) -> None:
    top = str(store.root).removeprefix(f"s3://{s3.BUCKET}/")
    for key in ("good/a.mp3", "bad//b.mp3", "../c.tar", "good/../d.mp3", "tab\t.tar", "new\nline.tar", "also.tar"):
        put(f"{top}/incoming/{key}")
    found = list_incoming(store)
    assert sorted(found.arrivals) == ["also", "good"]
    assert [f.key for f in found.arrivals["good"].files] == ["good/a.mp3"]
    assert sorted(found.refused) == ["../c.tar", "bad//b.mp3", "good/../d.mp3", "new\nline.tar", "tab\t.tar"]
    assert all("rename it" in why for why in found.refused.values())
    assert {batch: find_arrival(store, batch) for batch in found.arrivals} == found.arrivals


def test_folders_that_a_console_made_are_no_files(store: Store) -> None:
    top = str(store.root).removeprefix(f"s3://{s3.BUCKET}/")
    for key in ("incoming/", "incoming/show/", "incoming/show/season/"):
        put(f"{top}/{key}", b"")
    for key in ("show/season/a.mp3", "show/empty.mp3"):
        put(f"{top}/incoming/{key}", b"")
    found = list_incoming(store)
    assert found.refused == {}
    assert [f.key for f in found.arrivals["show"].files] == ["show/empty.mp3", "show/season/a.mp3"]
    assert find_arrival(store, "show") == found.arrivals["show"]


def test_a_name_that_no_key_can_have_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "tab\t.mp3").write_bytes(b"1")
    with pytest.raises(BadInput, match=r"tab\\t.mp3' is not a valid key: rename the file"):
        place_inputs(store, [tmp_path], "show")


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "the keys are wrong: set AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "the keys are wrong: set AWS_ACCESS_KEY_ID"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "the region is wrong: set AWS_REGION"),
        ({"PODCAST_STORE": f"s3://not-{s3.BUCKET}/a"}, "there is no such bucket: create it, or correct PODCAST_STORE"),
    ],
    ids=["wrong secret", "wrong key", "wrong region", "no bucket"],
)
def test_what_a_server_refuses_is_one_line(
    asking: str, variables: dict[str, str], says: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "AWS_REGION" in variables and asking == "unfinished uploads":
        pytest.skip("boto3 finds the region by itself")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store = Store.at(variables.get("PODCAST_STORE", bucket))
    with pytest.raises(StoreTrouble, match=says) as told:
        ASKING[asking](store)
    assert is_store_trouble(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (
            403,
            "AccessDenied",
            "access is denied: the keys need permission to list, read, write and delete in this bucket",
        ),
        (400, "ExpiredToken", "the session token has expired"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (301, "PermanentRedirect", "the bucket is in another region: set AWS_REGION"),
        (507, "QuotaExceeded", "it is full"),
        (503, "SlowDown", "the server answered 503 SlowDown repeatedly: try later"),
        (418, "Teapot", "the server answered 418 Teapot"),
    ],
)
def test_what_servers_say_is_told_with_a_remedy_and_without_secrets(
    asking: str, status: int, code: str, says: str, proxied: tuple[Store, s3.Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers quote the request that they refuse, with its token and signature: neither is in a message or a traceback."""
    monkeypatch.setattr(s3_api, "RETRIES", 0)
    if (status, asking) == (301, "unfinished uploads"):
        pytest.skip("boto3 follows a redirect by itself")
    store, proxy = proxied
    quoted = "<CanonicalRequest>x-amz-security-token:TOKEN-THAT-NOBODY-MAY-SEE</CanonicalRequest>"
    proxy.fault = lambda _: s3.answer(status, code, quoted)
    with pytest.raises(StoreTrouble) as told:
        ASKING[asking](store)
    assert says in str(told.value)
    shown = "".join(traceback.format_exception(told.value))
    assert "NOBODY-MAY-SEE" not in shown
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in shown


def test_an_endpoint_that_is_not_there(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(buckets.RETRY, "max_retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(StoreTrouble, match="cannot be reached: check AWS_ENDPOINT_URL_S3"):
        Store.at(bucket).read("a")


def test_the_command_ends_with_one_line(place: Place, bucket: str) -> None:
    result = place.command("add", "--all", "--store", bucket, AWS_SECRET_ACCESS_KEY="wrong-secret")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "the keys are wrong" in result.stderr
    assert "wrong-secret" not in result.stderr


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_archives_are_read_from_the_bucket_in_parts(form: str, proxied: tuple[Store, s3.Proxy]) -> None:
    """Once over, in ranges, and never as a whole."""
    store, proxy = proxied
    members = {f"{n}.mp3": os.urandom(2_000_000) for n in range(15)}
    data = {"tar": tar, "zip": zipped}[form](members)
    store.write(f"incoming/b.{form}", data)
    begun = len(proxy.seen)
    found = unpack(store, list_incoming(store).arrivals["b"])
    assert [f.stored.bytes for f in found.files] == [2_000_000] * 15
    reads = [r for r in proxy.seen[begun:] if r.method == "GET" and r.path.endswith(f"incoming/b.{form}")]
    assert 1 < len(reads) <= math.ceil(len(data) / buckets.PART) + (5 if form == "zip" else 0)


def test_a_write_that_failed_unnoticed_brings_nothing_into_the_bucket(bucket: str) -> None:
    """libsndfile goes on as if nothing had been where its callback raises: what is cut off then must not look whole."""
    store, before = Store.at(bucket), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError), store.writing("a") as f:
            for _ in range(10):
                with contextlib.suppress(OSError):
                    f.write(bytes(50_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not store.exists("a")


def test_other_content_of_the_same_size_within_a_second_is_a_change(bucket: str) -> None:
    """Buckets tell times in seconds."""
    store, arrivals, lists = Store.at(bucket), set(), set()
    for content in (b"aa", b"bb", b"cc"):
        store.write("incoming/b.tar", content)
        store.write("feeds/feeds.csv", content)
        arrivals.add(list_incoming(store).arrivals["b"].signature)
        lists.add(lists_signature(store))
    assert (len(arrivals), len(lists)) == (3, 3)


def test_a_file_is_read_in_few_requests(proxied: tuple[Store, s3.Proxy]) -> None:
    store, proxy = proxied
    data = os.urandom(2 * buckets.PART + 5)
    store.write("a", data)
    begun = len(proxy.seen)
    with store.open("a") as f:
        assert f.read(10) + f.read() == data
    assert len(proxy.seen) - begun <= 1 + 3


def test_the_janitor_sweeps_a_bucket(store: Store, tmp_path: Path) -> None:
    commit_batch(store, "done")
    for batch in ("done", "begun", "queued"):
        store.write(f"checkpoints/transcribe/{batch}/x-{'a' * 32}.parquet", b"1234567890")
    commit_batch(store, "queued")
    soon = time.time() + 600
    assert sweep(store, before=time.time() - 600, scratch=tmp_path).files.total() == 0
    freed = sweep(store, before=soon, busy={"queued"}, scratch=tmp_path)
    assert (freed.files["checkpoints"], freed.bytes, freed.in_use) == (1, 10, {"queued"})
    assert store.names("checkpoints/transcribe") == {"begun", "queued"}
    with store.batch_lock("queued"):
        assert sweep(store, before=soon, scratch=tmp_path).in_use == {"queued"}
    assert sweep(store, before=soon, scratch=tmp_path).files["checkpoints"] == 1
