"""One-line error messages for problems with a store.

Messages of the client libraries are long and may quote the request with its session token, so they are kept out of messages and
tracebacks.
"""

import contextlib
import errno
import re
from collections.abc import Iterator
from typing import NamedTuple

from podcast_assets.common.errors import STORE_TROUBLES, StoreTrouble
from podcast_assets.common.redaction import redact_url


@contextlib.contextmanager
def translate_errors(key: str, where: str) -> Iterator[None]:
    """Translate errors of a full or read-only file system to messages that name the store.

    Args:
        key: key that was to be written.
        where: displayed name of the location.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, StoreTrouble) or error.errno not in STORE_TROUBLES:
            raise
        problem, remedy = STORE_TROUBLES[error.errno]
        raise StoreTrouble(
            error.errno,
            f"{where} {problem} ({key} could not be written): {remedy} there, then materialize again. Finished work is kept.",
        ) from error


class BucketLocation(NamedTuple):
    """A bucket with its URL and endpoint, as shown in messages."""

    url: str
    endpoint: str | None
    """None for Amazon S3."""

    def __str__(self) -> str:
        return f"the store {redact_url(self.url)}" + (f" at {redact_url(self.endpoint)}" if self.endpoint else "")


_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_CODES: dict[str, tuple[int, str]] = {
    "SignatureDoesNotMatch": (errno.EACCES, f"the keys are wrong: set {_KEYS}"),
    "InvalidAccessKeyId": (errno.EACCES, f"the keys are wrong: set {_KEYS}"),
    "InvalidToken": (errno.EACCES, "the session token is wrong: set AWS_SESSION_TOKEN with its keys, or unset it"),
    "ExpiredToken": (errno.EACCES, "the session token has expired: get new keys"),
    "AccessDenied": (
        errno.EACCES,
        "access is denied: the keys need permission to list, read, write and delete in this bucket",
    ),
    "AllAccessDisabled": (errno.EACCES, "access is denied: the provider has disabled it"),
    "AccountProblem": (errno.EACCES, "access is denied: ask the provider about the account"),
    "RequestTimeTooSkewed": (errno.EACCES, "requests are refused because this machine's clock is wrong: set it"),
    "NoSuchBucket": (errno.ENOENT, "there is no such bucket: create it, or correct PODCAST_STORE"),
    "AuthorizationHeaderMalformed": (errno.EINVAL, "the region is wrong: set AWS_REGION"),
    "PermanentRedirect": (
        errno.EINVAL,
        "the bucket is in another region: set AWS_REGION, and AWS_ENDPOINT_URL_S3 if it is set",
    ),
    "IllegalLocationConstraintException": (errno.EINVAL, "the region is wrong: set AWS_REGION"),
    "QuotaExceeded": (errno.EDQUOT, "it is full: its quota is used up"),
    "XAmzContentSHA256Mismatch": (errno.EIO, "uploads arrive corrupted, repeatedly: check the network"),
    "BadDigest": (errno.EIO, "uploads arrive corrupted, repeatedly: check the network"),
}
"""Error codes of S3 → error number and what to do.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_BY_STATUS: dict[int, tuple[int, str]] = {
    401: _CODES["SignatureDoesNotMatch"],
    403: (errno.EACCES, f"access is denied: the keys are wrong ({_KEYS}) or lack permissions in this bucket"),
    429: (errno.EBUSY, "it limits the request rate: lower the number of concurrent runs"),
    507: (errno.ENOSPC, "it is full"),
}

_UNREACHED = "it cannot be reached: check AWS_ENDPOINT_URL_S3 and the network"


def bucket_trouble(location: BucketLocation, action: str, message: str) -> StoreTrouble:
    """Make the one-line error for a problem with a bucket.

    Args:
        location: the bucket.
        action: attempted action, such as `reading tables/x`.
        message: message of the client library.
    """
    number, problem = _error_cause(message)
    return StoreTrouble(number, f"{location}: {problem} ({action}). Finished work is kept: run again to resume.")


def error_code(message: str) -> str | None:
    """Error code in an S3 server's response."""
    found = re.search(r"<Code>(\w+)</Code>", message)
    return found[1] if found else None


def http_status(message: str) -> int | None:
    """HTTP status in a client library's message."""
    found = re.search(r"status code: (\d{3})", message)
    return int(found[1]) if found else None


def needs_retry(message: str) -> bool:
    """Whether obstore gave up early on an error for which a retry may help.

    When a connection breaks, it does not retry requests that may not be idempotent. When it repeats the completion of an upload
    whose response was lost, it reports that there is no such upload (404).
    """
    if http_status(message) == 404 and "uploadId=" in message:
        return True
    broken = "HTTP error" in message and "builder error" not in message
    tried = re.search(r"after (\d+) retries", message)
    allowed = re.search(r"max_retries: ?(\d+)", message)
    spent = tried is not None and (allowed is None or int(tried[1]) >= int(allowed[1]))
    return broken and http_status(message) is None and not spent


def _error_cause(message: str) -> tuple[int, str]:
    code, status = error_code(message), http_status(message)
    if code in _CODES:
        return _CODES[code]
    if "169.254.169.254" in message or "169.254.170.2" in message:
        return errno.EACCES, f"no keys were found: set {_KEYS}, or AWS_PROFILE"
    if "incorrectly configured region" in message:
        return _CODES["PermanentRedirect"]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is None:
        return errno.EHOSTUNREACH, _UNREACHED
    shown = f"{status} {code}" if code else str(status)
    if status >= 500:
        return errno.EIO, f"the server answered {shown} repeatedly: try later"
    return errno.EIO, f"the server answered {shown}"
