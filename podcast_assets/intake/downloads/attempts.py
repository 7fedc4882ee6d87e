"""Attempts of a download, whatever the protocol: retried with growing waits, within limits, and checked for audio."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_exception_type

from podcast_assets.common.errors import BadInput
from podcast_assets.intake.downloads.http import OutOfTime, TimeBudget, Transient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.sniffing import HEAD

LONGEST_WAIT = 300.0
"""Longest Retry-After that a run waits for, s; a longer one is left to a later run."""
_LONGEST_BACKOFF = 60.0  # s

Check = Callable[[bytes, str | None], str | None]
"""Describes what is wrong with content, given its first bytes and media type; None if it is fine."""


class NotFetched(BadInput):
    """The server refuses the file or sends something else; trying again does not help."""


@dataclass(frozen=True)
class DownloadLimits:
    """Limits on the size, time and retries of a download."""

    bytes: int
    """Maximum size."""
    seconds: float
    """Time for all attempts of one run, without the waits between them."""
    tries: int
    """Consecutive attempts without progress."""
    first_wait: float = 1.0
    """Longest wait before the second attempt, s; doubles with every further attempt."""


@dataclass
class DownloadProgress:
    """State of a download across its attempts."""

    budget: TimeBudget
    most_bytes: int = 0
    """Largest size of the partial file so far."""
    tries_without_progress: int = 0


def retry(
    attempt: Callable[[DownloadProgress], bool],
    partial: PartialDownload,
    limits: DownloadLimits,
    sleep: Callable[[float], None],
) -> bool:
    """Repeat an attempt that fails for now, as long as others bring data, and return its result.

    Args:
        attempt: downloads into `partial` what is missing.
        partial: open partial download.
        limits: limits on time and retries.
        sleep: waits between attempts, in seconds.

    Raises:
        Transient: the last attempt failed for now; what was received stays in `partial`.
        BadInput: as the attempt.
    """
    progress = DownloadProgress(TimeBudget(limits.seconds), partial.size)

    def attempt_and_count() -> bool:
        try:
            return attempt(progress)
        finally:
            more = partial.size > progress.most_bytes
            progress.most_bytes, progress.tries_without_progress = (
                max(partial.size, progress.most_bytes),
                0 if more else progress.tries_without_progress + 1,
            )

    tries = Retrying(
        retry=retry_if_exception_type(Transient),
        wait=lambda state: _retry_wait(state, progress, limits.first_wait),
        stop=lambda state: _give_up(state, progress, limits.tries),
        sleep=sleep,
        reraise=True,
    )
    return tries(attempt_and_count)


def check_size(version: FileVersion, where: str, max_bytes: int) -> None:
    """Refuse a file that declares more than the largest size.

    Raises:
        NotFetched: it is too large.
    """
    if version.total is not None and version.total > max_bytes:
        raise NotFetched(f"{where} has {version.total:,} bytes, more than PODCAST_DOWNLOAD_BYTES={max_bytes:,}")


def write_body(blocks: Iterable[bytes], where: str, partial: PartialDownload, max_bytes: int, check: Check) -> None:
    """Write a body to the partial file and check that it is complete.

    Args:
        blocks: bytes after those that the partial file has.
        where: redacted URL, for messages.
        partial: open partial download, begun with the version of the body.
        max_bytes: largest size.
        check: describes what is wrong with the content.

    Raises:
        NotFetched: it is too large, empty, or not audio.
        Transient: it is not complete.
    """
    unchecked = partial.size < HEAD
    for block in blocks:
        partial.write(block)
        if partial.size > max_bytes:
            partial.begin(FileVersion())
            raise NotFetched(f"{where} has more than PODCAST_DOWNLOAD_BYTES={max_bytes:,} bytes")
        if unchecked and partial.size >= HEAD:
            _check_content(partial, where, check)
            unchecked = False
    size, total = partial.size, partial.version.total
    if total is not None and size != total:
        if size > total:
            partial.begin(FileVersion())
        raise Transient(f"{where}: {size:,} of {total:,} bytes received")
    if size == 0:
        raise NotFetched(f"{where} is empty")
    if unchecked:
        _check_content(partial, where, check)


def _check_content(partial: PartialDownload, where: str, check: Check) -> None:
    if wrong := check(partial.head(HEAD), partial.version.content_type):
        partial.begin(FileVersion())
        raise NotFetched(f"{where} is {wrong}, neither audio nor video")


def _retry_wait(state: RetryCallState, progress: DownloadProgress, first: float) -> float:
    """Exponential backoff with full jitter, counted from the last progress, and never less than the requested wait.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    bound = min(first * 2 ** min(progress.tries_without_progress, 16), _LONGEST_BACKOFF)
    jitter = random.uniform(0.0, bound)  # noqa: S311
    requested = _requested_wait(state)
    return jitter if requested is None else requested + min(jitter, first)


def _give_up(state: RetryCallState, progress: DownloadProgress, tries: int) -> bool:
    error = state.outcome.exception() if state.outcome else None
    out_of_time = progress.budget.left <= 0 or isinstance(error, OutOfTime)
    return out_of_time or progress.tries_without_progress >= tries or (_requested_wait(state) or 0.0) > LONGEST_WAIT


def _requested_wait(state: RetryCallState) -> float | None:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, Transient) else None
