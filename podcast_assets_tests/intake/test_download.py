"""One download against real servers that cut, lie, refuse and redirect."""

import base64
import contextlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.download import DownloadLimits, NotFetched, download, retry_after
from podcast_assets.intake.downloads.http import HttpClient, Transient, verifying_context
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns, Stopped
from podcast_assets.intake.downloads.sniffing import describe_non_media
from podcast_assets_tests.servers.web_server import UNKNOWN, Resource, WebServer, authority, web_server
from podcast_assets_tests.waiting import wait_for

AUDIO = b"ID3\x04\x00" + random.Random(5).randbytes(300_000)
KEY = "0" * 32


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def web(**changes: Any) -> HttpClient:
    hosts = HostTurns(overall=8, per_host=4, delay=0)
    allowed: dict[str, Any] = {"allowed": frozenset({"127.0.0.1", "localhost"})}
    return HttpClient(hosts, "test", **(allowed | changes))


def limits(**changes: Any) -> DownloadLimits:
    return DownloadLimits(**({"bytes": 10_000_000, "seconds": 60.0, "tries": 3, "first_wait": 0.01} | changes))


@contextmanager
def partial(folder: Path) -> Iterator[PartialDownload]:
    with PartialDownload(folder, KEY) as opened:
        yield opened


def get(
    folder: Path, url: str, *, by: HttpClient | None = None, known: FileVersion | None = None, **changes: Any
) -> bytes | None:
    with partial(folder) as opened:
        fresh = download(by or web(), url, opened, limits(**changes), known=known)
        return opened.content().read() if fresh else None


def ranges(server: WebServer) -> list[str | None]:
    return [r.headers.get("Range") for r in server.requests]


def test_cut_connections_are_taken_up_where_they_broke_off(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, cuts=[100_000, 50_000, 0, 1]))
    assert get(tmp_path, url) == AUDIO
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-", "bytes=150000-", "bytes=150001-"]
    assert server.requests[1].headers["If-Range"] == '"one"'


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server: WebServer, tmp_path: Path) -> None:
    resource = Resource(AUDIO, cuts=[90_000, 0, 0, 0])
    url = server.put("/a.mp3", resource)
    with pytest.raises(Transient, match=r"/a\.mp3: the connection broke off"):
        get(tmp_path, url)
    assert len(list(tmp_path.iterdir())) == 1
    assert get(tmp_path, url) == AUDIO
    assert ranges(server)[-1] == "bytes=90000-"


def test_a_file_that_changed_meanwhile_is_begun_again(server: WebServer, tmp_path: Path) -> None:
    resource = Resource(AUDIO, cuts=[90_000, 0, 0, 0])
    url = server.put("/a.mp3", resource)
    with pytest.raises(Transient):
        get(tmp_path, url)
    resource.data, resource.etag = AUDIO[::-1], '"two"'
    assert get(tmp_path, url) == AUDIO[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'], ids=["no version", "a weak one"])
def test_parts_of_what_may_be_different_files_are_never_joined(
    server: WebServer, tmp_path: Path, etag: str | None
) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, etag=etag, cuts=[90_000]))
    assert get(tmp_path, url) == AUDIO
    assert ranges(server) == [None, None]


def test_a_server_without_ranges_is_asked_for_all_of_it(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, ranges=False, cuts=[90_000]))
    assert get(tmp_path, url) == AUDIO


def test_the_last_modified_date_is_a_version_too(server: WebServer, tmp_path: Path) -> None:
    date = "Fri, 20 Nov 2026 10:00:00 GMT"
    url = server.put("/a.mp3", Resource(AUDIO, etag=None, last_modified=date, cuts=[90_000]))
    assert get(tmp_path, url) == AUDIO
    assert server.requests[1].headers["If-Range"] == date


def test_a_chunked_body_that_is_cut_is_not_whole(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, chunked=True, cuts=[90_000]))
    assert get(tmp_path, url) == AUDIO


def test_a_server_that_claims_more_than_it_sends_never_gives_a_whole_file(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, length=len(AUDIO) + 10, ranges=False))
    with pytest.raises(Transient):
        get(tmp_path, url)


def test_a_range_of_another_place_is_not_joined(server: WebServer, tmp_path: Path) -> None:
    part = {"Content-Range": f"bytes 5-9/{len(AUDIO)}", "ETag": '"one"'}
    url = server.put("/a.mp3", Resource(AUDIO, cuts=[90_000]))
    with partial(tmp_path) as opened:
        opened.begin(FileVersion(etag='"one"', total=len(AUDIO)))
        opened.write(AUDIO[:100])
    server.resources["/a.mp3"].cuts, server.resources["/a.mp3"].answers = [], [(206, part)]
    assert get(tmp_path, url) == AUDIO
    assert ranges(server) == ["bytes=100-", None]


def test_a_server_that_sends_less_than_the_rest_is_asked_for_what_is_left(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, cuts=[90_000], most=100_000))
    assert get(tmp_path, url) == AUDIO
    assert ranges(server) == [None, "bytes=90000-", "bytes=190000-", "bytes=290000-"]


def test_what_is_there_whole_already_is_known_by_416(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO))
    with partial(tmp_path) as opened:
        opened.begin(FileVersion(etag='"one"', total=len(AUDIO)))
        opened.write(AUDIO)
    assert get(tmp_path, url) == AUDIO
    assert ranges(server) == [f"bytes={len(AUDIO)}-"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 501])
def test_a_refusal_is_for_good(server: WebServer, tmp_path: Path, status: int) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, answers=[(status, {})] * 9))
    with pytest.raises(NotFetched, match=f"answered {status}"):
        get(tmp_path, url)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: WebServer, tmp_path: Path, status: int) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, answers=[(status, {}), (status, {})]))
    assert get(tmp_path, url) == AUDIO
    server.resources["/a.mp3"].answers = [(status, {})] * 9
    with pytest.raises(Transient, match=f"answered {status}"):
        get(tmp_path / "other", url)
    assert len(server.requests) == 3 + 3


def test_the_host_is_left_alone_for_as_long_as_it_asks(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, answers=[(429, {"Retry-After": "100"}), (503, {"Retry-After": "4000"})]))
    slept, paused = [], []
    by = web()
    monkeypatch.setattr(by.hosts, "sleep", slept.append)
    monkeypatch.setattr(by.hosts, "pause", lambda host, seconds: paused.append((host, seconds)))
    with pytest.raises(Transient) as raised:
        get(tmp_path, url, by=by)
    assert raised.value.retry_after == 4000
    assert paused == [("127.0.0.1", 100), ("127.0.0.1", 300)]
    assert [s >= 100 for s in slept] == [True]


def test_a_pause_of_one_host_keeps_nobody_from_another() -> None:
    hosts = HostTurns(overall=1, per_host=1, delay=0)
    hosts.pause("slow", 3600)
    turns: Any = hosts._turns
    begun = threading.Event()

    def visit(host: str) -> None:
        with contextlib.suppress(Stopped), hosts.visit(host):
            begun.set()

    waiting = threading.Thread(target=visit, args=("slow",))
    other = threading.Thread(target=visit, args=("other",), daemon=True)
    try:
        waiting.start()
        wait_for("the wait for the slow host", lambda: turns._waiters, patience=60, every=0.01)
        other.start()
        assert begun.wait(60), "the other host waits too"
        assert waiting.is_alive()
    finally:
        hosts.stop()
        waiting.join()


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120.0), ("Sat, 21 Nov 2026 10:02:00 GMT", 120.0), ("soon", None), (None, None)]
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=1_795_255_200.0) == seconds


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><html><body>Please log in", "text/html"),
        (b"\xef\xbb\xbf\n <!-- cdn --><HTML>gone", "audio/mpeg"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "application/xml"),
        (b'{"error": "expired"}', "application/json"),
        (b"episode not found", "text/plain; charset=utf-8"),
        (b"#EXTM3U\nhttp://x/1.ts", "audio/x-mpegurl"),
        (b"[playlist]\nFile1=http://x/1.mp3", "application/octet-stream"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "application/octet-stream"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "video/mp4"),
    ],
)
def test_pages_in_place_of_audio_are_refused_for_good(
    server: WebServer, tmp_path: Path, data: bytes, kind: str
) -> None:
    url = server.put("/a.mp3", Resource(data, content_type=kind))
    with pytest.raises(NotFetched, match="neither audio nor video"):
        get(tmp_path, url)
    assert len(server.requests) == 1


def test_audio_that_is_called_text_is_audio() -> None:
    assert describe_non_media(AUDIO, "text/html") is None
    assert describe_non_media(b"RIFF\x00\x00\x00\x00WAVE", None) is None


def test_nothing_is_no_audio(server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="is empty"):
        get(tmp_path, server.put("/a.mp3", Resource(b"")))


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "found out on the way"])
def test_what_is_too_large_is_not_taken(server: WebServer, tmp_path: Path, chunked: bool) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, chunked=chunked))
    with pytest.raises(NotFetched, match="PODCAST_DOWNLOAD_BYTES=1,000"):
        get(tmp_path, url, bytes=1000)
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 1000


@pytest.mark.parametrize("length", [None, UNKNOWN], ids=["of known length", "whose end is the connection's"])
def test_a_body_that_trickles_ends_with_its_time(server: WebServer, tmp_path: Path, length: int | None) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, trickle=True, length=length))
    with pytest.raises(Transient, match="took too long"):
        get(tmp_path, url, seconds=0.6)
    assert len(server.requests) <= 1, "it is not tried again"


def test_silence_is_no_answer(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO, hold=server.over, ranges=False))
    with pytest.raises(Transient, match="no answer in time"):
        get(tmp_path, url, by=web(silence=0.2), tries=2)


def test_what_has_not_changed_is_not_sent_again(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/a.mp3", Resource(AUDIO))
    assert get(tmp_path, url, known=FileVersion(etag='"one"')) is None
    assert get(tmp_path, url, known=FileVersion(etag='"zero"')) == AUDIO


def test_redirects_are_followed_and_logins_stay_with_their_host(server: WebServer, tmp_path: Path) -> None:
    server.put("/here", Resource(location="/there"))
    server.put("/there", Resource(location=server.url("/a.mp3", host="localhost")))
    server.put("/a.mp3", Resource(AUDIO))
    url = server.url("/here?token=secret", host="user:password@127.0.0.1")
    assert get(tmp_path, url) == AUDIO
    assert ["Authorization" in r.headers for r in server.requests] == [True, True, False]


def test_cookies_are_sent_back_to_their_host_and_forgotten(server: WebServer, tmp_path: Path) -> None:
    audio = Resource(AUDIO)
    audio.answers = [
        (302, {"Location": "/a.mp3", "Set-Cookie": "seen=1; Path=/; HttpOnly"}),
        (302, {"Location": server.url("/there", host="localhost"), "Set-Cookie": "more=2; Domain=localhost"}),
    ]
    server.put("/there", Resource(location=server.url("/a.mp3")))
    url = server.put("/a.mp3", audio)
    assert get(tmp_path, url) == AUDIO
    assert get(tmp_path / "again", url) == AUDIO
    assert [r.headers.get("Cookie") for r in server.requests] == [None, "seen=1", None, "seen=1", None]


def test_redirects_without_end_and_to_elsewhere_are_refused(server: WebServer, tmp_path: Path) -> None:
    url = server.put("/loop", Resource(location="/loop"))
    with pytest.raises(BadInput, match="more than 12 redirects"):
        get(tmp_path, url)
    for place in ("file:///etc/passwd", "ftp://example.org/a.mp3", "gopher://x"):
        with pytest.raises(BadInput, match="neither http nor https"):
            get(tmp_path, server.put("/away", Resource(location=place)))
    for place in ("http://[", "http://x:99999999/", "https://" + "a" * 9000):
        with pytest.raises(BadInput):
            get(tmp_path, server.put("/away", Resource(location=place)))


@pytest.mark.parametrize("header", ["Content-Length", "Retry-After", "Content-Range", "ETag", "Last-Modified"])
def test_headers_of_nonsense_do_no_harm(server: WebServer, tmp_path: Path, header: str) -> None:
    url = server.put("/a.mp3", Resource(AUDIO))
    for value in ("9" * 5000, "-1", "\xb2", "x" * 5000, "bytes 5-1/\xb2"):
        for status in (200, 206, 416, 429):
            server.resources["/a.mp3"].answers = [(status, {header: value})] * 9
            with pytest.raises((BadInput, Transient)):
                get(tmp_path / f"{status}", url, tries=1, seconds=5)


def test_logins_may_be_in_any_script(server: WebServer, tmp_path: Path) -> None:
    server.put("/a.mp3", Resource(AUDIO))
    assert get(tmp_path, server.url("/a.mp3", host="%E6%97%A5:%E2%82%AC@127.0.0.1")) == AUDIO
    assert base64.b64decode(server.requests[0].headers["Authorization"].split()[1]).decode() == "日:€"


def test_certificates_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, ca = authority(tmp_path, "localhost")
    with web_server(certificate) as server:
        server.put("/a.mp3", Resource(AUDIO))
        with pytest.raises(Transient, match="certificate"):
            get(tmp_path / "a", server.url("/a.mp3", "localhost"), by=web(tls=verifying_context()), tries=1)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca))
        assert get(tmp_path / "b", server.url("/a.mp3", "localhost"), by=web(tls=verifying_context())) == AUDIO
        with pytest.raises(Transient, match="certificate"):  # of another name
            get(tmp_path / "c", server.url("/a.mp3"), by=web(tls=verifying_context()), tries=1)


def test_secrets_of_a_url_are_in_no_message(server: WebServer, tmp_path: Path) -> None:
    secret = server.url("/a.mp3?token=hunter2", host="me:hunter2@127.0.0.1")
    server.put("/a.mp3", Resource(answers=[(404, {})]))
    messages = []
    for url, by in (
        (secret, web()),
        (secret, web(allowed=frozenset())),
        (secret.replace(str(server.port), "1"), web()),
    ):
        with pytest.raises((BadInput, Transient)) as raised:
            get(tmp_path, url, by=by)
        messages.append(str(raised.value))
    assert not any("hunter2" in m for m in messages)
    assert all("127.0.0.1" in m for m in messages)
