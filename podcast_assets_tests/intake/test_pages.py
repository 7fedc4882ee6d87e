"""Episodes on pages: yt-dlp finds their audio on a real server, and its bytes come through the limits of every download."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.downloads.attempts import DownloadLimits, NotFetched
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.page_reader import describe_page
from podcast_assets.intake.downloads.pages import fetch_page, page_reader
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets.intake.page_statements import note_page
from podcast_assets.intake.rights_ledger import read_ledger
from podcast_assets.intake.submit import submit_urls
from podcast_assets.stages.fetch import download_list
from podcast_assets.store.store import Store
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

AUDIO = b"ID3\x04\x00" + random.Random(5).randbytes(300_000)
PAGE = """<html><head><title>On rivers</title><script type="application/ld+json">
{"@context": "https://schema.org", "@type": "VideoObject", "name": "On rivers",
 "contentUrl": "SERVER/files/rivers.mp3?token=secret",
 "uploadDate": "2026-03-01", "author": {"@type": "Person", "name": "Ada"}}</script></head><body>text</body></html>"""


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running
    page_reader.processes.close()


@pytest.fixture
def page(server: WebServer) -> str:
    """URL of a page with audio."""
    server.put("/files/rivers.mp3", Resource(AUDIO))
    return server.put("/shows/rivers", Resource(page_of(server), "text/html", etag=None))


def page_of(server: WebServer, host: str | None = None) -> bytes:
    return PAGE.replace("SERVER", host or server.url("")).encode()


def get(
    folder: Path, url: str, *allowed: str, begun: tuple[FileVersion, bytes] | None = None, **changes: Any
) -> tuple[bytes, FileVersion, dict[str, str | None]]:
    web = HttpClient(HostTurns(overall=8, per_host=4, delay=0), "test", frozenset(allowed), silence=5.0)
    limits = DownloadLimits(**({"bytes": 10_000_000, "seconds": 60.0, "tries": 1, "first_wait": 0.01} | changes))
    with PartialDownload(folder, "0" * 32) as partial:
        if begun:
            partial.begin(begun[0])
            partial.write(begun[1])
        _, facts = fetch_page(web, url, partial, limits)
        return partial.content().read(), partial.version, facts


def test_a_page_gives_its_audio_and_what_it_says_and_a_part_is_continued(
    page: str, server: WebServer, tmp_path: Path
) -> None:
    data, version, facts = get(tmp_path, page, "127.0.0.1")
    assert data == AUDIO
    assert (facts["title"], facts["uploader"], facts["published"]) == ("On rivers", "Ada", "2026-03-01")
    assert facts["webpage_url"] == page
    server.requests.clear()
    assert get(tmp_path, page, "127.0.0.1", begun=(version, AUDIO[:100_000]))[0] == AUDIO
    assert server.requests[-1].headers["Range"] == "bytes=100000-"


def test_what_is_not_public_too_large_or_no_episode_is_refused(page: str, server: WebServer, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"127\.0\.0\.1 is not on the public network .* PODCAST_ALLOW_HOSTS"):
        get(tmp_path, page)
    with pytest.raises(NotFetched, match="300,005 bytes, more than PODCAST_DOWNLOAD_BYTES"):
        get(tmp_path, page, "127.0.0.1", bytes=1000)
    empty = server.put("/empty", Resource(b"<html><title>nothing</title></html>", "text/html", etag=None))
    with pytest.raises(BadInput, match=r"/empty: yt-dlp \S+ finds no audio file there"):
        get(tmp_path, empty, "127.0.0.1")
    inside = server.put("/inside", Resource(page_of(server, "http://10.1.2.3"), "text/html", etag=None))
    with pytest.raises(BadInput, match=r"10\.1\.2\.3 is not on the public network"):
        get(tmp_path, inside, "127.0.0.1")
    busy = server.put("/busy", Resource(page_of(server), "text/html", etag=None, answers=[(503, {})]))
    with pytest.raises(Transient, match="503"):
        get(tmp_path, busy, "127.0.0.1")
    gone = server.put("/gone", Resource(b"", "text/html", etag=None, answers=[(404, {})]))
    with pytest.raises(BadInput, match="404"):
        get(tmp_path, gone, "127.0.0.1")


def test_a_list_of_pages_has_their_titles_and_rights(page: str, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    batch = submit_urls(store, [page], "talks", {"download_with": "yt-dlp", "license": "CC-BY-4.0"})
    settings = Settings(store=str(tmp_path), allow_hosts="127.0.0.1", download_host_delay=0)
    found = download_list(store, find_arrival(store, batch), settings)
    ((source, row),) = found.metadata.rows.items()
    assert (row["title"], row["author"], row["license"], row["url"]) == ("On rivers", "Ada", "CC-BY-4.0", page)
    (statement,) = read_ledger(store).to_dicts()
    assert statement["episode_id"] == found.unpacked.identities[source]
    assert (statement["uploader"], statement["license"], statement["source"]) == ("Ada", "CC-BY-4.0", page)
    again = download_list(store, find_arrival(store, batch), settings)
    assert (again.downloaded, again.metadata.rows) == (0, found.metadata.rows)
    assert read_ledger(store).height == 1


def test_the_statements_of_a_page_are_those_of_its_dictionary(tmp_path: Path) -> None:
    info = {
        "id": "abc", "extractor": "youtube", "title": "Talk", "license": "Creative Commons Attribution license (reuse allowed)",
        "uploader": "Ada L.", "channel": "Ada", "channel_url": "https://www.youtube.com/channel/UC1", "upload_date": "20260301",
        "webpage_url": "https://www.youtube.com/watch?v=abc", "view_count": 3,
    }  # fmt: skip
    facts = describe_page(info)
    assert (facts["webpage_url"], facts["published"]) == ("https://youtu.be/abc", "2026-03-01")
    store = Store.at(tmp_path)
    note_page(store, "e", facts, {})
    note_page(store, "e", facts, {})
    (row,) = read_ledger(store).to_dicts()
    assert {k: row[k] for k in ("guid", "podcast", "uploader", "license", "source", "feed")} == {
        "guid": "youtube:abc",
        "podcast": "Ada",
        "uploader": "Ada L.",
        "license": info["license"],
        "source": "https://youtu.be/abc",
        "feed": "https://www.youtube.com/channel/UC1",
    }
