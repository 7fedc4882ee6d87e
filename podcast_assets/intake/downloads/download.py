"""Download of one file: resumed, retried, and stored whole or not at all."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import time

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.http import HttpClient, HttpResponse, OutOfTime, TimeBudget, Transient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.sniffing import HEAD, describe_non_media
from podcast_assets.intake.downloads.urls import parse_url, redact_url

LONGEST_WAIT = 300.0
"""Seconds that a run waits because a server asks for it; what asks for more is left to a later run."""
_LONGEST_BACKOFF = 60.0
"""Seconds."""
_ABOUT_THE_MOMENT = {408, 421, 425, 429}
_FOR_GOOD = {501, 505}
_NUMBER = r"[0-9]{1,15}"
_RANGE = re.compile(rf"bytes (?:(?P<start>{_NUMBER})-(?P<end>{_NUMBER})|\*)/(?P<total>{_NUMBER}|\*)")


class NotFetched(BadInput):
    """The server will not give it, or gives something else: to ask again does not help."""


@dataclass(frozen=True)
class DownloadLimits:
    """Limits on the size, time and retries of a download."""

    bytes: int
    """Size, at most."""
    seconds: float
    """Time that all tries of one run may take, without their waits."""
    tries: int
    """In a row that bring nothing."""
    first_wait: float = 1.0
    """Seconds before the second try, at most; the bound doubles with every further one."""


@dataclass
class _DownloadProgress:
    """State of a download across its attempts."""

    budget: TimeBudget
    best: int = 0
    """Bytes that have come at most."""
    in_vain: int = 0
    """Tries since more came."""


def download(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    *,
    known: FileVersion | None = None,
    check: Callable[[bytes, str | None], str | None] = describe_non_media,
) -> bool:
    """Bring all of a file into `partial`; False where the server says that the version which is known is still right.

    Args:
        web: to ask.
        url: of the file.
        partial: what came of it before, open; afterwards all of it.
        limits: what it may cost.
        known: the version that is at hand already.
        check: tells from the first bytes and the media type what is wrong with it.

    Raises:
        BadInput: it is no URL, leads to where it must not, is too large or something else than audio, or the server refuses it.
        Transient: it did not work out now. What has come stays.
    """
    going = _DownloadProgress(TimeBudget(limits.seconds), partial.size)
    tries = Retrying(
        retry=retry_if_exception_type(Transient),
        wait=lambda state: _retry_wait(state, going, limits.first_wait),
        stop=lambda state: _give_up(state, going, limits.tries),
        sleep=web.hosts.sleep,
        reraise=True,
    )
    return tries(_attempt, web, url, partial, limits, going, known, check)


def _attempt(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    going: _DownloadProgress,
    known: FileVersion | None,
    check: Callable[[bytes, str | None], str | None],
) -> bool:
    try:
        with web.get(url, _request_headers(partial, known), going.budget) as answer:
            if answer.status == HTTPStatus.NOT_MODIFIED and known is not None:
                return False
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and _is_complete(answer, partial):
                return True
            _check_status(answer, web)
            _begin_body(answer, partial, limits.bytes)
            _write_body(answer, partial, limits.bytes, check)
    finally:
        more = partial.size > going.best
        going.best, going.in_vain = max(partial.size, going.best), 0 if more else going.in_vain + 1
    return True


def _request_headers(partial: PartialDownload, known: FileVersion | None) -> dict[str, str]:
    """Go on with what is there; else, only if it is another version."""
    condition = partial.version.condition
    if partial.size and condition:
        return {"Range": f"bytes={partial.size}-", "If-Range": condition}
    headers = {}
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    if known and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _check_status(answer: HttpResponse, web: HttpClient) -> None:
    """Raise an error unless the response has a body to download."""
    status = answer.status
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    words = f"{redact_url(answer.url)} answers {status_with_name(status)}"
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or status in _ABOUT_THE_MOMENT:
        pass
    elif status < 500 or status in _FOR_GOOD:
        raise NotFetched(words)
    wait = retry_after(answer.headers.get("Retry-After"), now=time())
    if wait is not None:
        web.hosts.pause(parse_url(answer.url).host, min(wait, LONGEST_WAIT))
    raise Transient(words, wait)


def _begin_body(answer: HttpResponse, partial: PartialDownload, most: int) -> None:
    """Go on after what is there, or begin anew where another version comes, or all of it."""
    size = partial.size
    version = _file_version(answer)
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        same = version.condition in (None, partial.version.condition) and version.total == partial.version.total
        if not size or found is None or found["start"] != str(size) or not same:
            partial.begin(FileVersion())
            raise Transient(f"{redact_url(answer.url)} sends another part than the one that was asked for")
    else:
        partial.begin(version)
    if version.total is not None and version.total > most:
        raise NotFetched(
            f"{redact_url(answer.url)} has {version.total:,} bytes, more than PODCAST_DOWNLOAD_BYTES={most:,}"
        )


def _write_body(
    answer: HttpResponse, partial: PartialDownload, most: int, check: Callable[[bytes, str | None], str | None]
) -> None:
    """Write the body, and look whether that is all of it."""
    where = redact_url(answer.url)
    unchecked = partial.size < HEAD
    for block in answer.blocks():
        partial.write(block)
        if partial.size > most:
            partial.begin(FileVersion())
            raise NotFetched(f"{where} has more than PODCAST_DOWNLOAD_BYTES={most:,} bytes")
        if unchecked and partial.size >= HEAD:
            _check_content(partial, where, check)
            unchecked = False
    size, total = partial.size, partial.version.total
    if total is not None and size != total:
        if size > total:
            partial.begin(FileVersion())
        raise Transient(f"{where}: {size:,} of {total:,} bytes came")
    if size == 0:
        raise NotFetched(f"{where} is empty")
    if unchecked:
        _check_content(partial, where, check)


def _check_content(partial: PartialDownload, where: str, check: Callable[[bytes, str | None], str | None]) -> None:
    if wrong := check(partial.head(HEAD), partial.version.content_type):
        partial.begin(FileVersion())
        raise NotFetched(f"{where} is {wrong}, neither audio nor video")


def _is_complete(answer: HttpResponse, partial: PartialDownload) -> bool:
    """Whether nothing is left to come; where that is not so either, begin anew."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if partial.size and found and found["total"] == str(partial.size) == str(partial.version.total):
        return True
    partial.begin(FileVersion())
    return False


def _file_version(answer: HttpResponse) -> FileVersion:
    length = answer.headers.get("Content-Length", "")
    total = int(length) if re.fullmatch(_NUMBER, length) and not answer.encoded else None
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        total = int(found["total"]) if found and found["total"] != "*" else None
    return FileVersion(
        # bytes that were unpacked here cannot be joined with others
        etag=None if answer.encoded else answer.headers.get("ETag"),
        last_modified=None if answer.encoded else answer.headers.get("Last-Modified"),
        total=total,
        content_type=answer.headers.get("Content-Type"),
        url=redact_url(answer.url),
    )


def status_with_name(status: int) -> str:
    """Format an HTTP status with its name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds that a Retry-After asks for, given as a number or a date (RFC 9110, 10.2.3); None where it says nothing.

    Args:
        value: of the header.
        now: POSIX seconds.
    """
    if value is None:
        return None
    if re.fullmatch(_NUMBER, value.strip()):
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def _retry_wait(state: RetryCallState, going: _DownloadProgress, first: float) -> float:
    """At random below a bound that doubles, so that many do not come back together; never less than what was asked for.

    "Full jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, counted from the last progress.
    """
    bound = min(first * 2 ** min(going.in_vain, 16), _LONGEST_BACKOFF)
    jitter = random.uniform(0.0, bound)  # noqa: S311
    asked = _requested_wait(state)
    return jitter if asked is None else asked + min(jitter, first)


def _give_up(state: RetryCallState, going: _DownloadProgress, tries: int) -> bool:
    error = state.outcome.exception() if state.outcome else None
    late = going.budget.left <= 0 or isinstance(error, OutOfTime)
    return late or going.in_vain >= tries or (_requested_wait(state) or 0.0) > LONGEST_WAIT


def _requested_wait(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, Transient) else None
