"""The S3 backend: a store in a bucket, accessed with obstore.

obstore needs a sixth of the CPU time of s3fs for small files, less than a tenth for listings, and a third of the memory for large
files (figures in docs/operations/store.md). It does not cache listings, which would hide what another machine has just written. A
PUT is atomic: an object appears when it is complete.
"""

import contextlib
import datetime
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

import tenacity

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.locks import private_folder
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.store.backends import s3_api
from podcast_assets.store.backends.errors import BucketLocation, bucket_trouble, needs_retry, translate_errors
from podcast_assets.store.backends.multipart import PART, entity_tag, part_bytes, unquote_entity_tag
from podcast_assets.store.backends.pending_file import PendingFile
from podcast_assets.store.backends.protocol import BLOCK, Entry, FolderListing

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

PARTS_AT_ONCE = 4
PAGE = 1000

RETRY: "RetryConfig" = {
    "max_retries": 8,
    "backoff": {
        "init_backoff": datetime.timedelta(seconds=0.5),
        "max_backoff": datetime.timedelta(seconds=15),
        "base": 3,
    },
    "retry_timeout": datetime.timedelta(minutes=3),
}
"""About half a minute in total: each wait is random between the first and three times the previous one."""
CLIENT: "ClientConfig" = {
    "connect_timeout": "10s",
    "read_timeout": "2m",  # without a byte; for an upload, until the response
    "timeout": "1h",  # of a whole request; the default, 30 s, ends the upload of a part over a slow line
}

_RETRY = tenacity.Retrying(
    retry=tenacity.retry_if_exception(lambda error: needs_retry(str(error))),
    wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
    stop=tenacity.stop_after_attempt(6),
    reraise=True,
)
"""Retries for what obstore does not retry itself: listings and responses to a POST that are cut off. All calls are idempotent."""

T = TypeVar("T")
_ENVIRONMENT = "AWS_"
_OWN_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE")
"""If one of them is set, obstore finds the credentials; else boto3 looks where AWS tools do: profiles, instance metadata."""


class Bucket:
    """Backend for objects below a prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`.

    Raises:
        Misconfigured: the URL is not supported, or the extra `s3` is not installed.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3":
            raise Misconfigured(f"PODCAST_STORE must be a folder or s3://BUCKET/PREFIX, not {parts.scheme}://…")
        if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
            raise Misconfigured(
                "PODCAST_STORE must be s3://BUCKET/PREFIX only: set keys, region and endpoint as AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL_S3"
            )
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
        environment = {k: v for k, v in os.environ.items() if k.startswith(_ENVIRONMENT) and v}
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        self.location = BucketLocation(url.rstrip("/"), endpoint)
        self.store = self._make_client(environment, endpoint)

    def _make_client(self, environment: Mapping[str, str], endpoint: str | None) -> "ObjectStore":
        try:
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        except ImportError as error:
            raise Misconfigured(f"a store in a bucket needs pip install 'podcast-assets[s3]' ({error})") from None
        config: dict[str, Any] = {}
        if endpoint:
            config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        if not any(name in environment for name in _OWN_KEYS):
            config["credential_provider"] = s3_api.credentials(self.location)
        if "AWS_REGION" in environment:  # takes precedence over AWS_DEFAULT_REGION, as in the SDKs
            config["region"] = environment["AWS_REGION"]
        options: ClientConfig = {**CLIENT, "allow_http": (endpoint or "").startswith("http://")}
        try:
            if certificate := environment.get("AWS_CA_BUNDLE"):
                options["root_certificate"] = Path(certificate).read_bytes()
            return S3Store(
                self.bucket, prefix=self.prefix or None, client_options=options, retry_config=RETRY, **config
            )
        except OSError as error:
            raise Misconfigured(f"AWS_CA_BUNDLE cannot be read: {error}") from None
        except (BaseError, ValueError) as error:  # the message itself may quote a secret
            missing = re.search(r"Missing (\w+)", str(error))
            problem = f"{missing[1]} is missing" if missing else "one of the AWS_ variables is invalid"
            raise Misconfigured(
                f"{self.location}: {problem}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None

    # -- reading ---------------------------------------------------------------------------------------------------

    def exists(self, key: str) -> bool:
        """Whether an object exists."""
        return self._head_object(key) is not None

    def read(self, key: str) -> bytes:
        """Read a whole object."""
        return self._call(key, lambda: self.store.get(key).bytes().to_bytes())

    def open(self, key: str) -> BinaryIO:
        """Open a stream over ranges of the object, which must not change meanwhile."""
        facts = self._head_object(key)
        if facts is None:
            self.names("")  # a HEAD response does not tell a missing bucket from a missing object
            raise FileNotFoundError(f"{self.location.url}/{key} does not exist")
        raw = _ObjectReader(self, key, facts["size"], facts["e_tag"])
        return cast("BinaryIO", io.BufferedReader(raw, BLOCK))

    @contextlib.contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Download a temporary copy."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            target = Path(folder) / key.rsplit("/", 1)[-1]
            with translate_errors(key, _temporary_file()), target.open("wb") as f, self.open(key) as source:
                while block := source.read(BLOCK):
                    f.write(block)
            yield target

    def list(self, folder: str) -> Iterator[Entry]:
        """List all objects below a folder."""
        from obstore.exceptions import InvalidPathError

        def list_entries() -> Iterable[Entry]:
            try:
                return [_entry(m) for page in self.store.list(folder, chunk_size=PAGE) for m in page]
            except InvalidPathError:  # a key such as a//b or ../c, for which obstore fails the whole listing
                return s3_api.list_keys(self.bucket, self.prefix, folder, self.location)

        yield from _without_placeholders([*self._call(f"{folder}/", list_entries)])

    def list_folder(self, folder: str) -> FolderListing:
        """The objects directly below a folder, and the first parts of the keys of the others."""
        from obstore.exceptions import InvalidPathError

        def list_objects() -> FolderListing:
            try:
                found = self.store.list_with_delimiter(folder)
            except InvalidPathError:  # see `list`
                return s3_api.list_folder(self.bucket, self.prefix, folder, self.location)
            entries = tuple(_entry(m) for m in found["objects"] if m["path"] != folder)
            return FolderListing(entries, frozenset(p.rsplit("/", 1)[-1] for p in found["common_prefixes"]))

        found = self._call(f"{folder}/", list_objects)
        # less the placeholders of folders: see `_without_placeholders`
        files = tuple(e for e in found.files if e.bytes or e.key.rsplit("/", 1)[-1] not in found.folders)
        return FolderListing(files, found.folders)

    def names(self, folder: str) -> set[str]:
        """Names directly below a folder."""
        found = self._call(f"{folder}/", lambda: self.store.list_with_delimiter(folder))
        keys = (*found["common_prefixes"], *(m["path"] for m in found["objects"]))
        return {key.rsplit("/", 1)[-1] for key in keys if key != folder}

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, key: str, data: bytes) -> None:
        """Write an object with one PUT."""
        response = self._call(key, lambda: self.store.put(key, data, use_multipart=False), "writing")
        self._verify_upload(
            key, response["e_tag"], hashlib.md5(data, usedforsecurity=False).hexdigest(), io.BytesIO(data)
        )

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        """Open a temporary file that is uploaded if the block succeeds."""
        with tempfile.NamedTemporaryFile(prefix=SCRATCH_PREFIX) as temporary:
            with translate_errors(key, _temporary_file()), PendingFile(io.FileIO(temporary.name, "w+")) as f:
                yield cast("BinaryIO", f)
                f.settle()
            self.upload(Path(temporary.name), key)

    def upload(self, source: Path, key: str) -> None:
        """Upload a file, in parts if it is large, and verify its entity tag."""
        size = source.stat().st_size
        part = part_bytes(size)
        options: dict[str, Any] = {"use_multipart": size > part, "chunk_size": part, "max_concurrency": PARTS_AT_ONCE}
        response = self._call(key, lambda: self.store.put(key, source, **options), "writing")
        with source.open("rb") as f:
            self._verify_upload(key, response["e_tag"], entity_tag(source), f)

    def move_in(self, source: Path, key: str) -> None:
        """Upload a file, as `upload` does."""
        self.upload(source, key)

    def _verify_upload(self, key: str, e_tag: str | None, expected: str, content: BinaryIO) -> None:
        """Verify an upload by its entity tag, or by its content if the tag differs, as for encrypted objects.

        Raises:
            StoreTrouble: the content differs from what was sent; the object is removed.
        """
        if unquote_entity_tag(e_tag) == expected:
            return
        with self.open(key) as uploaded:
            blocks = iter(lambda: content.read(BLOCK), b"")
            same = all(block == uploaded.read(BLOCK) for block in blocks) and not uploaded.read(1)
        if not same:
            self.remove(key)
            raise bucket_trouble(self.location, f"writing {key}", "<Code>BadDigest</Code>")

    def holds(self, source: Path, key: str) -> bool:
        """Compare size and entity tag: the MD5 of the content, or of the MD5s of its parts."""
        facts = self._head_object(key)
        if facts is None:
            return False
        return facts["size"] == source.stat().st_size and unquote_entity_tag(facts["e_tag"]) == entity_tag(source)

    def remove(self, key: str) -> None:
        """Remove the object and all objects below it."""

        def remove() -> None:
            below = [m["path"] for page in self.store.list(key, chunk_size=PAGE) for m in page]
            self.store.delete([key, *below] if below else key)

        self._call(key, remove, "removing")

    def remove_unfinished_uploads(self, before: float, spared: Collection[str]) -> int:
        """Abort uploads of killed processes: their parts are billed and not listed."""
        return s3_api.abort_uploads(self.bucket, self.prefix, self.location, before=before, spared=spared)

    def scratch(self) -> Path:
        """Return the machine's folder for temporary files."""
        return Path(tempfile.gettempdir())

    def lock(self, name: str) -> Path:
        """Path of a lock file for this user on this machine. Object stores have no locks, so other machines are not excluded."""
        store_id = hashlib.sha256(f"{self.location.endpoint}\0{self.location.url}".encode()).hexdigest()[:16]
        return private_folder() / store_id / f"{name}.lock"

    def _head_object(self, key: str) -> "ObjectMeta | None":
        """Metadata of an object; None if it does not exist."""

        def head() -> "ObjectMeta | None":
            try:
                return self.store.head(key)
            except FileNotFoundError:
                return None

        return self._call(key, head)

    def _call(self, key: str, call: Callable[[], T], action: str = "reading") -> T:
        """Make an idempotent call and translate its errors to one-line messages.

        Messages of obstore may contain the session token, so they are kept out of tracebacks.

        Raises:
            FileNotFoundError: the object does not exist.
            StoreTrouble: the server refuses the request or fails repeatedly.
            BadInput: the key is invalid.
            OSError: the object has changed meanwhile.
        """
        from obstore.exceptions import BaseError, InvalidPathError, PreconditionError

        try:
            return _RETRY(call)
        except BadInput:
            raise
        except (InvalidPathError, ValueError):
            raise BadInput(f"{self.location.url}: {key!r} is not a valid key: rename the file") from None
        except FileNotFoundError as error:
            if "<Code>NoSuchBucket</Code>" in str(error):
                raise bucket_trouble(self.location, f"{action} {key}", str(error)) from None
            raise FileNotFoundError(f"{self.location.url}/{key} does not exist") from None
        except PreconditionError:
            raise OSError(f"{self.location.url}/{key} was replaced while it was being read: run again") from None
        except (BaseError, PermissionError) as error:
            raise bucket_trouble(self.location, f"{action} {key}", self._explain(str(error))) from None

    def _explain(self, message: str) -> str:
        """Find the reason of a failed HEAD, whose response has no body, by a listing."""
        from obstore.exceptions import BaseError

        if "performing HEAD" in message:
            try:
                self.store.list_with_delimiter("podcast-assets-is-this-allowed")
            except (BaseError, FileNotFoundError, PermissionError) as error:
                return str(error)
        return message


class _ObjectReader(io.RawIOBase):
    """A file-like view of an object, read in parts. The last two stay cached, because archives are inspected at both ends."""

    _CACHED_PARTS = 2

    def __init__(self, bucket: Bucket, key: str, size: int, e_tag: str | None) -> None:
        self._bucket, self._key, self._size, self._e_tag, self._position = bucket, key, size, e_tag, 0
        self._parts: dict[int, memoryview] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(PART), b""))  # the inherited method reads 8 kB at a time

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        number, start = divmod(self._position, PART)
        block = self._read_part(number)[start : start + len(buffer)]
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def _read_part(self, number: int) -> memoryview:
        if number not in self._parts:
            while len(self._parts) >= self._CACHED_PARTS:
                del self._parts[next(iter(self._parts))]
            span = (number * PART, min((number + 1) * PART, self._size))
            options: GetOptions = {"range": span, "if_match": self._e_tag}
            store = self._bucket.store
            found = memoryview(self._bucket._call(self._key, lambda: store.get(self._key, options=options).bytes()))
            if len(found) != span[1] - span[0]:
                raise OSError(f"{self._bucket.location.url}/{self._key}: the response was incomplete: run again")
            self._parts[number] = found
        return self._parts[number]


def _entry(found: "ObjectMeta") -> Entry:
    return Entry(
        found["path"], found["size"], found["last_modified"].timestamp(), content=unquote_entity_tag(found["e_tag"])
    )


def _without_placeholders(entries: list[Entry]) -> Iterator[Entry]:
    """Drop the empty objects that web consoles create as folders."""
    folders = set()
    if any(e.bytes == 0 for e in entries):
        folders = {e.key[:at] for e in entries for at in _slash_positions(e.key)}
    return (e for e in entries if e.bytes or e.key not in folders)


def _slash_positions(key: str) -> Iterator[int]:
    at = key.find("/")
    while at >= 0:
        yield at
        at = key.find("/", at + 1)


def _temporary_file() -> str:
    return f"the folder for temporary files, {tempfile.gettempdir()},"
