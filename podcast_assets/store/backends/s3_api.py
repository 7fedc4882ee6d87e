"""S3 calls that obstore does not support, with boto3: credentials of profiles, keys that are not paths, incomplete uploads."""

import contextlib
import datetime
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from podcast_assets.common.errors import Misconfigured
from podcast_assets.store.backends.errors import BucketLocation, bucket_trouble
from podcast_assets.store.backends.protocol import Entry, FolderListing

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

RETRIES = 8
"""Retries of a failed request, with exponential backoff."""


def credentials(location: BucketLocation) -> "Boto3CredentialProvider":
    """Credentials from wherever AWS tools look for them.

    Raises:
        Misconfigured: the extra `s3` is not installed.
        StoreTrouble: no credentials were found.
    """
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise Misconfigured(f"a store in a bucket needs pip install 'podcast-assets[s3]' ({error})") from None
    try:
        return Boto3CredentialProvider()
    except (BotoCoreError, ValueError):
        raise bucket_trouble(location, "looking for keys", "169.254.169.254") from None


def list_keys(bucket: str, prefix: str, folder: str, location: BucketLocation) -> list[Entry]:
    """List all objects below a folder, including those whose keys are not paths, which are marked as unreadable."""
    top = f"{prefix}/" if prefix else ""
    entries = []
    with _translate_errors(location, f"listing {folder}") as client:
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{top}{folder}/" if folder else top
        ):
            entries += [_entry(found, top) for found in page.get("Contents", ())]
    return entries


def list_folder(bucket: str, prefix: str, folder: str, location: BucketLocation) -> FolderListing:
    """List the objects directly below a folder, as `list_keys` does, and its subfolders with readable names."""
    top = f"{prefix}/" if prefix else ""
    within = f"{top}{folder}/"
    entries, folders = [], set[str]()
    with _translate_errors(location, f"listing {folder}") as client:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=within, Delimiter="/"):
            entries += [_entry(found, top) for found in page.get("Contents", ()) if found["Key"] != within]
            folders |= {
                found["Prefix"].removeprefix(within).removesuffix("/") for found in page.get("CommonPrefixes", ())
            }
    return FolderListing(tuple(entries), frozenset(name for name in folders if _unreadable_key_reason(name) is None))


def _entry(found: Any, top: str) -> Entry:
    key = str(found["Key"]).removeprefix(top)
    changed, content = found["LastModified"].timestamp(), str(found["ETag"]).strip('"')
    return Entry(key.removesuffix("/"), found["Size"], changed, _unreadable_key_reason(key), content)


def abort_uploads(bucket: str, prefix: str, location: BucketLocation, *, before: float, spared: Collection[str]) -> int:
    """Abort incomplete uploads below a prefix started before a time (POSIX seconds) and return their number."""
    top = f"{prefix}/" if prefix else ""
    limit = datetime.datetime.fromtimestamp(before, datetime.UTC)
    count = 0
    with _translate_errors(location, "looking for unfinished uploads") as client:
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=top):
            for found in page.get("Uploads", ()):
                folder = str(found["Key"]).removeprefix(top).split("/")[0]
                if found["Initiated"] < limit and folder not in spared:
                    client.abort_multipart_upload(Bucket=bucket, Key=found["Key"], UploadId=found["UploadId"])
                    count += 1
    return count


def _unreadable_key_reason(key: str) -> str | None:
    """Why an object with this key cannot be read; None if it can. Other tools would resolve the key to another path."""
    parts = key.removesuffix("/").split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "its key has empty parts, '.' or '..': rename it"
    if not key.isprintable():
        return "its key has characters that cannot be printed: rename it"
    return None


@contextlib.contextmanager
def _translate_errors(location: BucketLocation, action: str) -> Iterator[Any]:
    import boto3.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    style: Any = {"addressing_style": "path"} if location.endpoint else {}
    try:
        yield boto3.session.Session().client(
            "s3",
            endpoint_url=location.endpoint,
            config=Config(retries={"mode": "standard", "max_attempts": RETRIES}, s3=style, connect_timeout=10),
        )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise bucket_trouble(location, action, f"status code: {status} <Code>{code}</Code>") from None
    except BotoCoreError:
        raise bucket_trouble(location, action, "") from None
