"""Download of one file by HTTP: resumed, retried, and stored whole or not at all."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time
from types import MappingProxyType

from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.attempts import (
    LONGEST_WAIT,
    Check,
    DownloadLimits,
    DownloadProgress,
    NotFetched,
    check_size,
    retry,
    write_body,
)
from podcast_assets.intake.downloads.http import HttpClient, HttpResponse, Transient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.sniffing import describe_non_media
from podcast_assets.intake.downloads.urls import parse_url

_TEMPORARY_STATUSES = {408, 421, 425, 429}
_PERMANENT_STATUSES = {501, 505}
_NUMBER = r"[0-9]{1,15}"
_RANGE = re.compile(rf"bytes (?:(?P<start>{_NUMBER})-(?P<end>{_NUMBER})|\*)/(?P<total>{_NUMBER}|\*)")


def download(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    *,
    known: FileVersion | None = None,
    check: Check = describe_non_media,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Download a file completely into `partial`; return False if the server reports that the known version is current.

    Args:
        web: HTTP client.
        url: URL of the file.
        partial: open partial download to resume; holds the whole file afterwards.
        limits: limits on size, time and retries.
        known: version that is stored already.
        check: describes what is wrong with the content, given its first bytes and media type; None if it is fine.
        headers: additional request headers, which are sent to all hosts that it redirects to.

    Raises:
        BadInput: the URL is invalid or not public, the file is too large or not audio, or the server refuses it.
        Transient: the download failed for now; what was received stays in `partial`.
    """
    return retry(
        lambda progress: _attempt(web, url, partial, limits, progress, known, check, headers),
        partial,
        limits,
        web.hosts.sleep,
    )


def _attempt(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    progress: DownloadProgress,
    known: FileVersion | None,
    check: Check,
    headers: Mapping[str, str],
) -> bool:
    with web.get(url, {**headers, **_request_headers(partial, known)}, progress.budget) as response:
        if response.status == HTTPStatus.NOT_MODIFIED and known is not None:
            return False
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and _is_complete(response, partial):
            return True
        _check_status(response, web)
        _begin_body(response, partial, limits.bytes)
        write_body(response.blocks(), redact_url(response.url), partial, limits.bytes, check)
    return True


def _request_headers(partial: PartialDownload, known: FileVersion | None) -> dict[str, str]:
    """Headers that resume a partial download, or else ask for the file only if it has changed."""
    condition = partial.version.condition
    if partial.size and condition:
        return {"Range": f"bytes={partial.size}-", "If-Range": condition}
    headers = {}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _check_status(response: HttpResponse, web: HttpClient) -> None:
    """Raise an error unless the response has a body to download."""
    status = response.status
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    message = f"{redact_url(response.url)} answered {status_with_name(status)}"
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or status in _TEMPORARY_STATUSES:
        pass
    elif status < 500 or status in _PERMANENT_STATUSES:
        raise NotFetched(message)
    wait = retry_after(response.headers.get("Retry-After"), now=time())
    if wait is not None:
        web.hosts.pause(parse_url(response.url).host, min(wait, LONGEST_WAIT))
    raise Transient(message, wait)


def _begin_body(response: HttpResponse, partial: PartialDownload, max_bytes: int) -> None:
    """Append to the partial file, or start it over if the server sends another version or the whole file."""
    size = partial.size
    version = _file_version(response)
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        same = version.condition in (None, partial.version.condition) and version.total == partial.version.total
        if not size or found is None or found["start"] != str(size) or not same:
            partial.begin(FileVersion())
            raise Transient(f"{redact_url(response.url)} sent another range than the requested one")
    else:
        partial.begin(version)
    check_size(version, redact_url(response.url), max_bytes)


def _is_complete(response: HttpResponse, partial: PartialDownload) -> bool:
    """Whether the partial file is the whole file; otherwise start it over, as the server has nothing after it."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if partial.size and found and found["total"] == str(partial.size) == str(partial.version.total):
        return True
    partial.begin(FileVersion())
    return False


def _file_version(response: HttpResponse) -> FileVersion:
    length = response.headers.get("Content-Length", "")
    total = int(length) if re.fullmatch(_NUMBER, length) and not response.encoded else None
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        total = int(found["total"]) if found and found["total"] != "*" else None
    return FileVersion(
        # a decompressed body cannot be resumed by byte ranges
        etag=None if response.encoded else response.headers.get("ETag"),
        last_modified=None if response.encoded else response.headers.get("Last-Modified"),
        total=total,
        content_type=response.headers.get("Content-Type"),
        url=redact_url(response.url),
    )


def status_with_name(status: int) -> str:
    """Format an HTTP status with its name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after(value: str | None, *, now: float) -> float | None:
    """Parse a Retry-After header, a number or a date (RFC 9110, 10.2.3), to seconds; None if it is absent or invalid.

    Args:
        value: value of the header.
        now: current time, POSIX seconds.
    """
    if value is None:
        return None
    if re.fullmatch(_NUMBER, value.strip()):
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None
