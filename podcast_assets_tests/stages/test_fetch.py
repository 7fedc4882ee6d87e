"""Each URL of a list is downloaded once, and one that cannot be downloaded is a failure of its own."""

import errno
import json
import random
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.downloads.downloaded import DownloadRecords
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.stages.fetch import DownloadedList, download_list
from podcast_assets.stages.runner import NothingDone
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets.store.store import Store, checkpoints_key
from podcast_assets_tests.committed import failure
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server
from podcast_assets_tests.waiting import wait_for

PATIENCE = 600


def audio(seed: int, size: int = 20_000) -> bytes:
    return b"ID3\x04\x00" + random.Random(seed).randbytes(size)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def settings(**changes: Any) -> Settings:
    quick = {"allow_hosts": "127.0.0.1", "download_host_delay": 0, "download_backoff": 0.01, "download_tries": 2}
    return Settings(**(quick | changes))


def run(
    store: Store, rows: list[dict[str, Any]], before: DownloadedList | None = None, **changes: Any
) -> DownloadedList:
    store.write("incoming/list.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    if before:
        commit(store, "raw_audio", "list", empty_table(RAW_AUDIO), empty_table(PROVENANCE), before.failures)
    return download_list(store, find_arrival(store, "list"), settings(**changes))


def sources(fetched: DownloadedList) -> dict[str, bytes]:
    return {f.name.rsplit("/", 1)[-1]: f.stored.sha256.encode() for f in fetched.unpacked.files}


@pytest.fixture(autouse=True)
def folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this test alone: a store in a bucket keeps unfinished downloads there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def test_good_links_are_taken_and_each_bad_one_is_a_failure_of_its_own(server: WebServer, store: Store) -> None:
    good = [server.put(f"/{n}.mp3", Resource(audio(n))) for n in range(5)]
    gone, page = server.url("/gone.mp3"), server.put("/page.mp3", Resource(b"<html>", content_type="text/html"))
    busy = server.put("/busy.mp3", Resource(answers=[(503, {})] * 99))
    bad = [gone, page, busy, "ftp://x.example/a.mp3", "http://10.0.0.1/a.mp3"]
    found = run(store, [{"url": u, "title": u[-5:]} for u in (*good, *bad)])
    assert sorted(f.name for f in found.unpacked.files) == sorted(good)
    assert all(len(store.read(f.stored.key)) == f.stored.bytes for f in found.unpacked.files)
    permanent = dict(found.failures.select("source", "permanent").iter_rows())
    assert permanent == {gone: True, page: True, busy: False, "ftp://x.example/a.mp3": True, bad[-1]: True}
    assert set(found.failures["stage"]) == {"download"}
    assert found.metadata.of(good[0])["title"] == "0.mp3"
    assert not [*store.storage.scratch().glob("*.part")]


def test_a_second_run_takes_what_is_done_and_tries_only_what_may_pass(server: WebServer, store: Store) -> None:
    rows = [{"url": server.put(f"/{n}.mp3", Resource(audio(n)))} for n in range(3)]
    rows += [{"url": server.url("/gone.mp3")}, {"url": server.put("/busy.mp3", Resource(answers=[(503, {})] * 2))}]
    first = run(store, rows)
    assert (first.downloaded, first.failures.height) == (3, 2)
    server.requests.clear()
    server.resources["/busy.mp3"].data = audio(9)
    second = run(store, rows, first)
    assert {r.path for r in server.requests} == {"/busy.mp3"}
    assert (second.downloaded, len(second.unpacked.files)) == (1, 4)
    assert second.failures["source"].to_list() == [server.url("/gone.mp3")]
    assert second.failures["attempts"].to_list() == [1]
    third = run(store, rows, second, retry_permanent=True)
    assert third.failures["attempts"].to_list() == [2]


def start_download(store: Store) -> subprocess.Popen[bytes]:
    """Download the URL list in a process of its own."""
    program = f"""
        from podcast_assets.intake.arrivals import find_arrival
        from podcast_assets.config.settings import Settings
        from podcast_assets.stages.fetch import download_list
        from podcast_assets.store.store import Store
        store = Store.at({str(store.root)!r})
        download_list(store, find_arrival(store, "list"), Settings(allow_hosts="127.0.0.1", download_host_delay=0))
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])


def kill_once(process: subprocess.Popen[bytes], what: str, condition: Callable[[], bool]) -> None:
    """Kill a process as soon as a condition holds."""

    def reached() -> bool:
        assert process.poll() is None, f"the process ended before {what}"
        return condition()

    try:
        wait_for(what, reached, patience=PATIENCE, every=0.01)
    finally:
        process.kill()
        process.wait()


def test_a_killed_run_leaves_what_was_whole(server: WebServer, store: Store) -> None:
    """What a run downloads counts at once, not when all of its list is done."""
    rows = [{"url": server.put(f"/{n}.mp3", Resource(audio(n)))} for n in range(3)]
    server.resources["/2.mp3"].hold = server.over
    store.write("incoming/list.jsonl", "\n".join(json.dumps(row) for row in rows).encode())
    records = DownloadRecords(store)
    kill_once(start_download(store), "two downloads", lambda: all(records.of(r["url"], "list") for r in rows[:2]))
    server.resources["/2.mp3"].hold = None
    server.requests.clear()
    assert run(store, rows).downloaded == 1
    assert {r.path for r in server.requests} == {"/2.mp3"}


def test_kill_9_in_the_middle_of_a_download_loses_little_of_it(server: WebServer, store: Store) -> None:
    whole = audio(1, 3_000_000)
    url = server.put("/a.mp3", Resource(whole, hold=server.over))
    store.write("incoming/list.csv", f"url\n{url}\n".encode())
    part = store.storage.scratch() / f"{SCRATCH_PREFIX}{url_key(f'list {url}')[:32]}.part"

    def begun() -> bool:
        return part.exists() and part.stat().st_size >= len(whole) // 3

    kill_once(start_download(store), "a third of the download", begun)
    assert list(store.list("audio")) == []
    server.resources["/a.mp3"].hold = None
    found = download_list(store, find_arrival(store, "list"), settings())
    assert store.read(found.unpacked.files[0].stored.key) == whole
    assert int(server.requests[-1].headers["Range"].removeprefix("bytes=").removesuffix("-")) > len(whole) // 4


def test_an_original_that_is_gone_is_downloaded_again(server: WebServer, store: Store) -> None:
    rows = [{"url": server.put("/a.mp3", Resource(audio(1)))}]
    store.remove(run(store, rows).unpacked.files[0].stored.key)
    assert run(store, rows).downloaded == 1


def test_a_store_of_an_earlier_version_is_resumed_without_a_request(server: WebServer, store: Store) -> None:
    """Its record of a download, and the fingerprint of its permanent failure, are those that are read now."""
    url, gone = server.put("/a.mp3", Resource(audio(1))), server.url("/gone.mp3")
    stored = store.put_original(BytesIO(audio(1)), ".mp3")
    version = {"etag": '"one"', "last_modified": None, "total": stored.bytes, "content_type": None, "url": url}
    record = {"stored": asdict(stored), "version": version, "at": 1.0, "earlier": ["0" * 64]}
    key = url_key(url)
    store.write(f"downloads/{key[:2]}/{key}/list.json", json.dumps(record).encode())
    print_of_link = fingerprint(stage="download", version="1", engine=None, url=url_key(gone))
    failed = failure("download", permanent=True, episode=f"gone-{url_key(gone)[:12]}")
    failures = make_table([failed | {"source": gone, "fingerprint": print_of_link}], FAILURES)
    commit(store, "raw_audio", "list", empty_table(RAW_AUDIO), empty_table(PROVENANCE), failures)
    found = run(store, [{"url": url}, {"url": gone}])
    assert server.requests == []
    assert [f.stored for f in found.unpacked.files] == [stored]
    assert (found.downloaded, found.failed_now) == (0, 0)
    assert found.unpacked.earlier == {url: ["0" * 64]}
    assert found.failures.equals(failures)
    assert not store.exists(checkpoints_key("download", "list"))


def test_links_of_one_episode_are_each_accounted_for(server: WebServer, store: Store) -> None:
    about = {"podcast_guid": "p", "guid": "g"}
    urls = [server.put("/a.mp3", Resource(audio(1))), server.url("/b.mp3"), server.url("/c.mp3")]
    found = run(store, [about | {"url": url} for url in urls])
    assert [f.name for f in found.unpacked.files] == urls[:1]
    assert found.failures["source"].to_list() == urls[1:]
    assert found.failures["episode_id"].n_unique() == 2


def test_a_link_that_sounds_like_a_broken_device_fails_alone(server: WebServer, store: Store) -> None:
    urls = [server.url(f"/cuda-error-{n}.mp3") for n in range(4)]
    assert run(store, [{"url": url} for url in urls]).failures["source"].to_list() == urls


def test_a_full_store_ends_downloads_that_wait(
    server: WebServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # after the other request, which would wait for the host otherwise
    waits = server.put("/waits.mp3", Resource(answers=[(503, {"Retry-After": "250"})] * 9, after="/a.mp3"))
    rows = [{"url": waits}, {"url": server.put("/a.mp3", Resource(audio(1)))}]
    asked = threading.Event()

    def full(*_: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while "/waits.mp3" not in {r.path for r in server.requests} and time.monotonic() < deadline:
            time.sleep(0.01)
        asked.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "put_original", full)
    with pytest.raises(OSError, match="No space left"):
        run(store, rows, download_tries=9)
    assert asked.is_set()
    assert not [t for t in threading.enumerate() if t.name.startswith("download")]


def test_another_batch_asks_whether_it_has_changed(server: WebServer, store: Store) -> None:
    url = server.put("/a.mp3", Resource(audio(1)))
    first = run(store, [{"url": url}])
    store.write("incoming/other.csv", f"url\n{url}\n".encode())
    other = download_list(store, find_arrival(store, "other"), settings())
    assert server.requests[-1].headers["If-None-Match"] == '"one"'
    assert (sources(other), other.unpacked.earlier) == (sources(first), {})


def test_other_bytes_under_the_same_url_are_noted(server: WebServer, store: Store) -> None:
    """Advertisements that are inserted again at each download."""
    url = server.put("/a.mp3", Resource(audio(1)))
    first = run(store, [{"url": url}]).unpacked.files[0].stored.sha256
    server.resources["/a.mp3"] = Resource(audio(2), etag='"two"')
    assert run(store, [{"url": url}]).unpacked.files[0].stored.sha256 == first
    again = run(store, [{"url": url}], refresh_downloads=True)
    assert again.unpacked.files[0].stored.sha256 != first
    assert again.unpacked.earlier == {url: [first]}
    assert run(store, [{"url": url}]).unpacked.earlier == {url: [first]}


def test_when_nothing_could_be_had_nothing_is_committed(server: WebServer, store: Store) -> None:
    rows = [{"url": server.put(f"/{n}.mp3", Resource(answers=[(503, {})] * 9))} for n in range(3)]
    with pytest.raises(
        NothingDone, match=r"list: download: all 3 episodes failed, and not because of their data; .* 503"
    ):
        run(store, rows)


def test_no_more_is_asked_at_once_than_is_polite(server: WebServer, store: Store) -> None:
    go_on = threading.Event()
    rows = [{"url": server.put(f"/{n}.mp3", Resource(audio(n), hold=go_on))} for n in range(12)]
    going = threading.Thread(target=run, args=(store, rows), kwargs={"downloads_per_host": 3}, daemon=True)
    going.start()
    deadline = time.monotonic() + PATIENCE
    while server.most_at_once < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # in which a fourth would come
    go_on.set()
    going.join(PATIENCE)
    assert (server.most_at_once, len(server.requests)) == (3, 12)


def test_secrets_go_nowhere(server: WebServer, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    good = server.put("/a.mp3", Resource(audio(1)))
    rows = [
        {"url": f"{good}?token=hunter2"},
        {"url": server.url("/gone.mp3?token=hunter2", host="u:hunter2@127.0.0.1")},
    ]
    found = run(store, rows)
    assert found.failures.height == 1
    told = [caplog.text, repr(found.unpacked), found.failures.write_json()]
    stored = [store.read(entry.key).decode() for entry in store.list("downloads")]
    assert not any("hunter2" in text for text in (*told, *stored))


def test_publishers_transcripts_are_kept_as_references(server: WebServer, store: Store) -> None:
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.500\n<v Ada>Hello &amp; welcome.\n\n01:00:00.000 --> 01:00:01.000\nBye.\n"
    body = {"version": "1.0.0", "segments": [{"speaker": "Bo", "startTime": 0.5, "endTime": 1, "body": "Hallo"}]}
    transcripts = [
        {
            "url": server.put("/t.srt", Resource(b"1\n00:00:00,000 --> 00:00:01,000\nworse\n")),
            "type": "application/srt",
        },
        {"url": server.put("/t.vtt", Resource(vtt.encode(), content_type="text/vtt")), "type": "text/vtt"},
        {"url": server.put("/t", Resource(json.dumps(body).encode())), "type": "application/json", "language": "de"},
        {"url": server.url("/t.html"), "type": "text/html"},
    ]
    row = {"url": server.put("/a.mp3", Resource(audio(1))), "language": "en", "transcripts": transcripts}
    broken = {"url": server.url("/none.vtt"), "type": "text/vtt"}
    other = {"url": server.put("/b.mp3", Resource(audio(2))), "transcripts": [broken]}
    found = run(store, [row, other])
    from podcast_assets.intake.references import read_reference_rows

    one, two = (found.unpacked.identities[r["url"]] for r in (row, other))
    rows = read_reference_rows(store, "list", one)
    assert rows is not None
    assert rows.select("language", "format", "start", "end", "speaker", "text").rows() == [
        ("en", "vtt", 1.0, 2.5, "Ada", "Hello & welcome."),
        ("en", "vtt", 3600.0, 3601.0, None, "Bye."),
        ("de", "json", 0.5, 1.0, "Bo", "Hallo"),
    ]
    assert store.read(f"references/list/{one}.en.vtt").decode() == vtt
    assert found.reference_problems == [f"{server.url('/none.vtt')}: {server.url('/none.vtt')} answered 404 Not Found"]
    assert len(found.unpacked.files) == 2
    server.requests.clear()
    run(store, [row, other])
    assert server.requests == []
    assert read_reference_rows(store, "list", two) is not None


def test_a_list_that_cannot_be_read_is_said(store: Store) -> None:
    store.write("incoming/list.csv", b"address\nhttps://a.example\n")
    with pytest.raises(BadInput, match=r"list\.csv: a URL list needs a column 'url'"):
        download_list(store, find_arrival(store, "list"), settings())
