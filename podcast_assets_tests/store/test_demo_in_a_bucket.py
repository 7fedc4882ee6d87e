"""The sample batch in a bucket, over a bad network, with keys that expire and a run that is killed."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.store.schema import ASSETS
from podcast_assets.store.store import checkpoints_key, table_key
from podcast_assets_tests import forked
from podcast_assets_tests.conftest import Place, SampleRun, SharedFolders
from podcast_assets_tests.faults import short
from podcast_assets_tests.servers import s3
from podcast_assets_tests.waiting import wait_for

pytestmark = pytest.mark.store


@pytest.fixture
def proxy(bucket: str, s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Proxy]:
    with s3.proxy(s3_server["AWS_ENDPOINT_URL_S3"]) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.url)
        yield between


@pytest.fixture
def far(tmp_path: Path, bucket: str) -> Place:
    """A place whose store is in a bucket."""
    return Place(tmp_path, bucket)


def assert_same(far: Place, undisturbed: SampleRun) -> None:
    """The same tables, shards and transcripts as in a folder, to the byte, and nothing left over."""
    for key in [table_key(asset, undisturbed.batch) for asset in ASSETS]:
        assert far.store.read(key) == undisturbed.store.read(key), key
    for folder in ("sealed", "transcripts", "audio", "incoming"):
        assert {e.key: e.bytes for e in far.store.list(folder)} == {
            e.key: e.bytes for e in undisturbed.store.list(folder)
        }
    for entry in far.store.list("sealed"):
        assert far.store.read(entry.key) == undisturbed.store.read(entry.key)
    assert list(far.store.list("checkpoints")) == []


def test_keys_expire_and_a_run_is_killed_over_a_bad_network(
    far: Place, proxy: s3.Proxy, shared_folders: SharedFolders
) -> None:
    """One batch from its archive to its shards: keys that expire end a run and cost no episode, and the next one is killed."""
    undisturbed = short.short_run(shared_folders)
    short.lay_out(undisturbed, far)
    proxy.spoil_some(*s3.TRANSIENT_FAULTS.values(), every=12)
    unwell = proxy.fault

    def expired(request: s3.Request) -> s3.Fault | None:
        if any("checkpoints/diarize" in r.path for r in proxy.seen):
            return s3.answer(400, "ExpiredToken")
        return unwell(request)

    proxy.fault = expired
    result = far.command("demo", "--json")
    assert result.returncode == 2, result.stderr
    assert "the session token has expired: get new keys" in result.stderr
    assert re.search(r"diarize: \S+ failed: ", result.stderr) is None
    proxy.fault = lambda _: None
    assert far.store.exists(table_key("raw_audio", "sample"))
    assert far.store.names(checkpoints_key("transcribe", "sample")) == set()
    proxy.spoiled = 0
    proxy.fault = unwell
    folder = checkpoints_key("transcribe", "sample")
    reached, over = threading.Event(), threading.Event()

    def hold(handler: object, body: bytes) -> None:
        reached.set()
        over.wait()

    def held(request: s3.Request) -> s3.Fault | None:
        paths = {r.path for r in proxy.seen if r.method == "PUT" and folder in r.path}
        return hold if request.method == "PUT" and request.path in paths and len(paths) > 2 else unwell(request)

    proxy.fault = held
    process = forked.start_command("demo", "--json", environment=far.environment(), cwd=far.folder, pictures=True)
    wait_for("the third checkpoint", lambda: reached.is_set() or not process.running, patience=1200)
    assert process.running, process.err
    process.kill()
    over.set()
    proxy.fault = unwell
    assert len(far.store.names(folder)) >= 2, "each was written before the next was begun"
    assert not far.store.exists(table_key("transcripts", "sample"))
    again = far.command("demo", "--json")
    assert again.returncode == 0, again.stderr
    assert "transcribe takes " in again.stderr
    assert proxy.spoiled > 5
    proxy.fault = lambda _: None
    assert_same(far, undisturbed)
