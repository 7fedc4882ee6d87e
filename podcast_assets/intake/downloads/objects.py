"""Download of one object of a bucket (S3, Google Cloud Storage, Azure) with obstore, by this machine's own credentials.

Because a list could make this machine read whatever its credentials may, only buckets that PODCAST_ALLOW_HOSTS lists are read.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from podcast_assets.common.errors import Misconfigured, StoreTrouble, first_line
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.attempts import (
    Check,
    DownloadLimits,
    DownloadProgress,
    NotFetched,
    check_size,
    retry,
    write_body,
)
from podcast_assets.intake.downloads.http import HttpClient, OutOfTime, Transient
from podcast_assets.intake.downloads.partial import FileVersion, PartialDownload
from podcast_assets.intake.downloads.politeness import Stopped
from podcast_assets.intake.downloads.sniffing import describe_non_media
from podcast_assets.intake.downloads.urls import ObjectUrl, parse_object_url
from podcast_assets.store.backends.bucket import CLIENT, RETRY, Bucket
from podcast_assets.store.backends.errors import http_status
from podcast_assets.store.store import BLOCK

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig, ObjectStore

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS; GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY; "
    "AZURE_SKIP_SIGNATURE=true for a public container",
}
_METADATA_SERVICE = ("169.254.", "metadata.google.internal")
"""Where clients look for credentials when they have none."""
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def fetch_object(
    web: HttpClient,
    url: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    *,
    known: FileVersion | None = None,
    check: Check = describe_non_media,
) -> bool:
    """Download an object completely into `partial`; return False if the known version is current.

    What was received is continued if the object is still the same. If its entity tag looks like an MD5, the content is compared
    with it; a second download that gives the same content shows that the tag is none, as for encrypted objects.

    Args:
        web: client with the allowed buckets, and the turns.
        url: `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `az://CONTAINER/KEY`.
        partial: open partial download to resume; holds the whole object afterwards.
        limits: limits on size, time and retries.
        known: version that is stored already.
        check: describes what is wrong with the content.

    Raises:
        BadInput: the URL is malformed, there is no such object, or it is too large or not audio.
        Misconfigured: the bucket is not allowed, credentials are missing or refused, or the extra is not installed.
        Transient: the download failed for now; what was received stays in `partial`.
    """
    target, where = parse_object_url(url), redact_url(url)
    check_allowed(target.place, web.allowed)
    bucket = _open_bucket(target)
    mismatched: list[str] = []

    def attempt(progress: DownloadProgress) -> bool:
        began = time.monotonic()
        try:
            with web.hosts.visit(target.place):
                began = time.monotonic()
                return _attempt(web, bucket, target, where, partial, limits, progress, known, check, mismatched)
        finally:
            progress.budget.left -= time.monotonic() - began

    return retry(attempt, partial, limits, web.hosts.sleep)


def check_allowed(place: str, allowed: frozenset[str]) -> None:
    """Refuse a place that is read with this machine's credentials and is not listed.

    Args:
        place: bucket or host with its scheme.
        allowed: entries of PODCAST_ALLOW_HOSTS.

    Raises:
        Misconfigured: it is not listed.
    """
    if place not in {entry.rstrip("/") for entry in allowed}:
        raise Misconfigured(
            f"{place} is read with the credentials of this machine, so it has to be allowed: add {place} to PODCAST_ALLOW_HOSTS"
        )


def _attempt(
    web: HttpClient,
    bucket: "ObjectStore",
    target: ObjectUrl,
    where: str,
    partial: PartialDownload,
    limits: DownloadLimits,
    progress: DownloadProgress,
    known: FileVersion | None,
    check: Check,
    mismatched: list[str],
) -> bool:
    from obstore.exceptions import BaseError, NotModifiedError, PreconditionError

    over = time.monotonic() + progress.budget.left
    try:
        if not (partial.size and partial.size == partial.version.total):
            found = bucket.get(target.key, options=_options(partial, known))
            if not found.range[0]:
                partial.begin(_version(found, where))
            check_size(partial.version, where, limits.bytes)
            write_body(_blocks(web, found, where, over), where, partial, limits.bytes, check)
    except NotModifiedError:
        return False
    except PreconditionError:
        partial.begin(FileVersion())
        raise Transient(f"{where}: it changed since the download began") from None
    except (BaseError, FileNotFoundError, PermissionError) as error:
        raise _translate(error, target, where) from None
    _verify(partial, where, mismatched)
    return True


def _options(partial: PartialDownload, known: FileVersion | None) -> "GetOptions":
    if partial.size and partial.version.condition:
        return {"range": {"offset": partial.size}, "if_match": partial.version.condition}
    return {"if_none_match": known.etag} if known and known.etag else {}


def _version(found: "GetResult", where: str) -> FileVersion:
    kind: Any = found.attributes.get("Content-Type")
    return FileVersion(found.meta["e_tag"], None, found.meta["size"], kind, where)


def _blocks(web: HttpClient, found: "GetResult", where: str, over: float) -> Iterator[bytes]:
    for block in found.stream(min_chunk_size=BLOCK):
        yield bytes(block)
        if web.hosts.stopped:
            raise Stopped
        if time.monotonic() > over:
            raise OutOfTime(f"{where}: the download took too long")


def _verify(partial: PartialDownload, where: str, mismatched: list[str]) -> None:
    """Compare the content with an entity tag that looks like its MD5, see `fetch_object`."""
    match = _MD5.fullmatch(partial.version.etag or "")
    if match is None:
        return
    digest = hashlib.md5(usedforsecurity=False)
    content = partial.content()
    while block := content.read(BLOCK):
        digest.update(block)
    if digest.hexdigest() != match[1] and digest.hexdigest() not in mismatched:
        mismatched.append(digest.hexdigest())
        partial.begin(FileVersion())
        raise Transient(f"{where}: what arrived does not have the checksum that the bucket declares")


def _translate(error: Exception, target: ObjectUrl, where: str) -> Exception:
    """One-line error for one of obstore, whose messages can quote secrets."""
    from obstore.exceptions import NotFoundError, PermissionDeniedError, UnauthenticatedError

    text, status = str(error), http_status(str(error))
    if isinstance(error, (NotFoundError, FileNotFoundError)) or status == 404:
        return NotFetched(f"{where}: there is no such object or bucket")
    refused = isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)) or status in (401, 403)
    if refused or any(name in text for name in _METADATA_SERVICE):
        problem = "access is denied" if refused else "no credentials were found"
        return Misconfigured(f"{where}: {problem}: {_CREDENTIALS[target.scheme]}")
    return Transient(f"{where}: the bucket answered {status}" if status else f"{where}: {first_line(error)[:300]}")


def _open_bucket(target: ObjectUrl) -> "ObjectStore":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, GCSStore
    except ImportError as error:
        raise Misconfigured(f"{target.place} needs pip install 'podcast-assets[s3]' ({error})") from None
    try:
        if target.scheme == "s3":
            return Bucket(target.place).store
        make = GCSStore if target.scheme == "gs" else AzureStore
        # an endpoint of one's own, such as an emulator
        own = f"{os.environ.get('AZURE_STORAGE_ENDPOINT')} {os.environ.get('GOOGLE_SERVICE_ACCOUNT_KEY')}"
        options: ClientConfig = {**CLIENT, "allow_http": "http://" in own}
        return make(target.bucket, client_options=options, retry_config=RETRY)
    except (StoreTrouble, Misconfigured, BaseError, ValueError):
        raise Misconfigured(
            f"{target.place}: credentials are missing or invalid: {_CREDENTIALS[target.scheme]}"
        ) from None
