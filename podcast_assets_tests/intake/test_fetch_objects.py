"""Objects of buckets: of a real S3 server, and by the HTTP requests that Google's and Microsoft's clients make."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.intake.downloads.attempts import DownloadLimits, NotFetched
from podcast_assets.intake.downloads.fetch import fetch
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets_tests.servers import s3
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

AUDIO = b"ID3\x04\x00" + random.Random(5).randbytes(300_000)
MODIFIED = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture
def url(bucket: str) -> str:
    """URL of an object with audio."""
    return put(bucket, AUDIO)


def put(bucket: str, data: bytes) -> str:
    url = f"{bucket}/my show/a+b.mp3"
    key = url.removeprefix(f"s3://{s3.BUCKET}/")
    client: Any = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
    client.put_object(Bucket=s3.BUCKET, Key=key, Body=data)
    return url


def get(
    folder: Path,
    url: str,
    *allowed: str,
    begun: tuple[FileVersion, bytes] | None = None,
    known: FileVersion | None = None,
    **changes: Any,
) -> tuple[bytes, FileVersion] | None:
    """Download by a client that may read the buckets of `allowed`; None if the known version is current."""
    web = HttpClient(HostTurns(overall=8, per_host=4, delay=0), "test", frozenset(allowed or {f"s3://{s3.BUCKET}"}))
    limits = DownloadLimits(**({"bytes": 10_000_000, "seconds": 60.0, "tries": 3, "first_wait": 0.01} | changes))
    with PartialDownload(folder, "0" * 32) as partial:
        if begun:
            partial.begin(begun[0])
            partial.write(begun[1])
        fresh = fetch(web, url, partial, limits, known=known)
        return (partial.content().read(), partial.version) if fresh else None


def test_an_object_is_downloaded_and_not_again_while_it_is_the_same(url: str, tmp_path: Path) -> None:
    found = get(tmp_path, url)
    assert found is not None
    assert found[0] == AUDIO
    assert (found[1].total, found[1].url) == (len(AUDIO), url)
    assert get(tmp_path / "again", url, known=found[1]) is None


def test_what_was_begun_is_continued_only_if_the_object_is_the_same(url: str, bucket: str, tmp_path: Path) -> None:
    first = get(tmp_path, url)
    assert first is not None
    version = first[1]
    assert get(tmp_path, url, begun=(version, AUDIO[:100_000])) == first
    assert get(tmp_path, url, begun=(version, AUDIO)) == first, "it was whole already"
    other = get(tmp_path, put(bucket, AUDIO + b"more"), begun=(version, AUDIO[:100_000]))
    assert other is not None
    assert other[0] == AUDIO + b"more"


def test_damage_is_noticed_by_the_checksum(url: str, tmp_path: Path) -> None:
    first = get(tmp_path, url)
    assert first is not None
    assert get(tmp_path, url, begun=(first[1], AUDIO[:1] + b"?" + AUDIO[2:100_000])) == first
    with pytest.raises(Transient, match=r"a\+b\.mp3: what arrived does not have the checksum that the bucket declares"):
        get(tmp_path, url, begun=(first[1], AUDIO[:1] + b"?" + AUDIO[2:100_000]), tries=1)


def test_what_is_refused_is_named(url: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match=f"add s3://{s3.BUCKET} to PODCAST_ALLOW_HOSTS"):
        get(tmp_path, url, "media.example")
    with pytest.raises(NotFetched, match=r"none\.mp3: there is no such object or bucket"):
        get(tmp_path, f"{bucket}/none.mp3")
    with pytest.raises(NotFetched, match="more than PODCAST_DOWNLOAD_BYTES=1,000"):
        get(tmp_path, url, bytes=1_000)
    with pytest.raises(NotFetched, match="is an HTML page, neither audio nor video"):
        get(tmp_path, put(bucket, b"<html>" + b" " * 2_000))
    with pytest.raises(BadInput, match="an object is s3://BUCKET/KEY"):
        get(tmp_path, "s3://only-a-bucket")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Misconfigured, match=r"access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        get(tmp_path, url)


@pytest.mark.parametrize("scheme", ["gs", "az"])
def test_other_clouds_are_asked_for_the_rest_only(
    scheme: str, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = server.url("").rstrip("/")
    account = {"gcs_base_url": base, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "podcasts")
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", base)
    monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
    server.put("/shows/audio", Resource(AUDIO, last_modified=MODIFIED))
    begun = (FileVersion('"one"', total=len(AUDIO)), AUDIO[:100_000])
    found = get(tmp_path, f"{scheme}://shows/audio", f"{scheme}://shows", begun=begun)
    assert found is not None
    assert found[0] == AUDIO
    (request,) = server.requests
    assert {k.lower(): v for k, v in request.headers.items()}.items() >= {
        "if-match": '"one"',
        "range": "bytes=100000-",
    }.items()


def test_a_tag_that_is_no_checksum_does_not_matter(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = {"gcs_base_url": server.url("").rstrip("/"), "disable_oauth": True, "client_email": "", "private_key": ""}
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account | {"private_key_id": ""}))
    server.put("/shows/audio", Resource(AUDIO, etag=f'"{"0" * 32}"', last_modified=MODIFIED))
    found = get(tmp_path, "gs://shows/audio", "gs://shows")
    assert found is not None
    assert found[0] == AUDIO
    assert len(server.requests) == 2, "encrypted objects have tags of the same form: the second download decides"
