"""The store: keys, tables and originals.

Keys are paths relative to the store's root, with forward slashes. The backends (`backends/`), a folder or a bucket, write files
atomically.
"""

import contextlib
import functools
import os
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import polars as pl

from podcast_assets.common import locks
from podcast_assets.common.errors import BadInput, Misconfigured, first_line
from podcast_assets.common.hashing import Hashes
from podcast_assets.common.parallel import run_in_threads
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.store.backends.access import Access, create_file, lock_mode
from podcast_assets.store.backends.errors import translate_errors
from podcast_assets.store.backends.folder import Folder
from podcast_assets.store.backends.protocol import BLOCK, Entry, FolderListing, Storage
from podcast_assets.store.schema import Columns, add_missing_columns, schema
from podcast_assets.store.table_files import decode_table, encode_table

if TYPE_CHECKING:
    from upath import UPath

    from podcast_assets.store.backends.bucket import Bucket

__all__ = ["BLOCK", "DamagedTable", "Entry", "Store", "StoredOriginal"]


STORE_READERS = 16
"""Number of concurrent requests to a store, because each takes milliseconds on a disk and tens of them over a network."""

_OF_STAGES = ("tables/", "failures/", "provenance/")
"""Folders of tables that a run makes again if they are damaged."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class DamagedTable(BadInput):
    """A table in the store is truncated or corrupted."""


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """An original stored under its content hash."""

    key: str
    sha256: str
    md5: str
    bytes: int


@dataclass(frozen=True)
class Store:
    """A store in a folder, or in a bucket of an object store (`s3://bucket/prefix`)."""

    root: "Path | UPath" = field(repr=False)
    follow_links: bool = False
    """Whether symbolic links that others put into a folder are followed."""
    access: Access = "private"
    """Who may read new files in a folder."""

    @classmethod
    def at(cls, location: str | Path, *, follow_links: bool = False, access: Access = "private") -> "Store":
        """Open the store at a folder or URL. A local folder is made absolute, so that runs in other folders find it.

        Args:
            location: the folder or URL.
            follow_links: see `Store.follow_links`.
            access: see `Store.access`.

        Raises:
            Misconfigured: the location is neither.
        """
        text = str(location).removeprefix("file://")
        if not _URL.match(text):
            return cls(Path(text).absolute(), follow_links, access)
        from upath import UPath  # slow to import (fsspec), and needed for buckets only

        try:
            path = UPath(text)
        except ValueError:
            raise Misconfigured(
                f"PODCAST_STORE must be a folder or s3://BUCKET/PREFIX, not {redact_text(text)}"
            ) from None
        return cls(path.absolute() if isinstance(path, Path) else path, follow_links, access)

    @property
    def is_local(self) -> bool:
        """Whether the store is a folder on this machine."""
        return isinstance(self.root, Path)

    @property
    def storage(self) -> Storage:
        """Storage backend of the store. Every process creates its own, as only the root is sent to workers.

        Raises:
            Misconfigured: the URL is not supported, or the extra that it needs is not installed.
            StoreTrouble: there are no credentials for the bucket.
        """
        if self.is_local:
            return Folder(Path(str(self.root)), follow_links=self.follow_links, access=self.access)
        return _bucket_client(
            str(self.root), tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("AWS_")))
        )

    def path(self, key: str) -> "Path | UPath":
        """Full path of a key, for messages and other tools. To read it, use the methods of the store."""
        return self.root / key

    # -- reading ---------------------------------------------------------------------------------------------------

    def exists(self, key: str) -> bool:
        """Whether a complete file exists."""
        return self.storage.exists(key)

    def read(self, key: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return self.storage.read(key)

    def open(self, key: str) -> BinaryIO:
        """Open a file as a seekable stream, without a copy of the whole.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        return self.storage.open(key)

    def local_copy(self, key: str) -> contextlib.AbstractContextManager[Path]:
        """Local path to the content of a key: the file itself in a local store, else a temporary copy."""
        return self.storage.local_copy(key)

    def list(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder, in any order; empty if the folder does not exist.

        Raises:
            OSError: the folder cannot be listed.
        """
        return self.storage.list(folder)

    def list_folder(self, folder: str) -> FolderListing:
        """List the files and folders directly in a folder, in any order; empty if it does not exist.

        Raises:
            OSError: the folder cannot be listed.
        """
        return self.storage.list_folder(folder)

    def names(self, folder: str) -> set[str]:
        """Names of the files and folders in a folder; empty if the folder does not exist."""
        return self.storage.names(folder)

    def table_names(self, folder: str) -> tuple[str, ...]:
        """Names of the tables in a folder, without their suffix, sorted: of `tables/<asset>`, its batches."""
        names = self.storage.names(folder)
        tables = (n.removesuffix(".parquet") for n in names if n.endswith(".parquet") and not n.startswith("."))
        return tuple(sorted(tables))

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, key: str, data: bytes) -> None:
        """Write a small file atomically."""
        self.storage.write(key, data)

    def write_all(self, files: Iterable[tuple[str, bytes]]) -> int:
        """Write many small files, each atomically and several at once, since each waits for the disk or the network.

        Args:
            files: keys and contents, taken one by one.

        Returns:
            The number of files.
        """
        return sum(1 for _ in run_in_threads(lambda file: self.write(*file), files, STORE_READERS, name="write"))

    def writing(self, key: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """Open a seekable file for writing that appears under `key` if the block succeeds, and is discarded otherwise.

        Raises:
            StoreTrouble: the store or the temporary folder is full or read-only, or the store cannot be reached.
        """
        return self.storage.writing(key)

    def upload(self, source: Path, key: str) -> None:
        """Copy a local file to the store atomically."""
        self.storage.upload(source, key)

    def holds(self, source: Path, key: str) -> bool:
        """Whether a key has the content of a local file, by size and time in a folder and by checksum in a bucket."""
        return self.storage.holds(source, key)

    def put_original(self, source: IO[bytes], suffix: str) -> StoredOriginal:
        """Store a file by its content and hash it (SHA-256 and MD5) in the same pass."""
        hashes = Hashes()
        scratch = self.storage.scratch()
        temporary = scratch / f"{SCRATCH_PREFIX}{uuid.uuid4().hex}.part"
        location = f"the store {self.root}" if self.is_local else f"the folder for temporary files, {scratch},"
        try:
            with translate_errors("an original", location), create_file(temporary, self.access) as f:
                while block := source.read(BLOCK):
                    hashes.update(block)
                    f.write(block)
                f.flush()
                os.fsync(f.fileno())
            digest = hashes.sha256
            key = f"audio/original/{digest[:2]}/{digest}{suffix}"
            if not self.exists(key):
                self.storage.move_in(temporary, key)
        finally:
            temporary.unlink(missing_ok=True)
        return StoredOriginal(key, digest, hashes.md5, hashes.size)

    def remove(self, key: str) -> None:
        """Remove a file or a folder with its contents, if it exists."""
        self.storage.remove(key)

    def remove_unfinished_uploads(self, before: float, spared: Collection[str]) -> int:
        """Abort incomplete uploads to a bucket started before a time (POSIX seconds) and return their number.

        Args:
            before: POSIX seconds.
            spared: folders whose uploads are kept.
        """
        return self.storage.remove_unfinished_uploads(before, spared)

    # -- tables ----------------------------------------------------------------------------------------------------

    def write_table(self, key: str, table: pl.DataFrame, notes: Mapping[str, str] | None = None) -> None:
        """Write a table and its notes atomically as one parquet file with a digest."""
        self.write(key, encode_table(table, notes or {}))

    def read_table(self, key: str, columns: Columns) -> pl.DataFrame | None:
        """Read a table; None if it does not exist or has other columns.

        Raises:
            DamagedTable: the table exists, but cannot be read, or is not what was written.
        """
        try:
            found = self.read_noted_table(key, columns)
        except DamagedTable as error:
            if key.startswith(_OF_STAGES):
                raise DamagedTable(f"{error}: materialize its batch again to repair it") from error
            raise
        return None if found is None else found[0]

    def read_noted_table(self, key: str, columns: Columns) -> tuple[pl.DataFrame, dict[str, str]] | None:
        """Read a table and its notes; None if it does not exist or has other columns.

        Raises:
            DamagedTable: the table exists, but cannot be read, or is not what was written.
        """
        try:
            data = self.read(key)
        except FileNotFoundError:
            return None
        try:
            table, notes = decode_table(data)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
            reason = first_line(error)
            raise DamagedTable(f"{self.path(key)} is damaged ({len(data):,} bytes; {reason})") from error
        table = add_missing_columns(table, columns)
        return (table, notes) if table.schema == schema(columns) else None

    # -- locks -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def batch_lock(self, batch: str) -> Iterator[None]:
        """Lock a batch while the block runs, so that two runs of it on this machine take turns.

        This is an flock, which the kernel releases when its holder dies. Runs on other machines are not excluded if the store is a
        bucket: object stores have no locks, and conditional PUTs are not atomic everywhere.
        """
        with contextlib.ExitStack() as stack:
            with translate_errors(
                f"the lock of {batch}", f"the store {self.root}" if self.is_local else "the folder for locks"
            ):
                stack.enter_context(
                    locks.file_lock(
                        self.storage.lock(batch),
                        f"{batch}: waiting for another run of this batch",
                        mode=lock_mode(self.access),
                    )
                )
            yield

    def batch_lock_if_free(self, batch: str) -> contextlib.AbstractContextManager[bool]:
        """Try to lock a batch while the block runs; yields whether it is locked."""
        return locks.try_file_lock(self.storage.lock(batch), mode=lock_mode(self.access))


@functools.lru_cache(maxsize=32)
def _bucket_client(url: str, environment: tuple[tuple[str, str], ...]) -> "Bucket":
    """Client of a bucket, cached with its connections until its configuration changes."""
    from podcast_assets.store.backends.bucket import Bucket

    return Bucket(url)


def table_key(asset: str, batch: str) -> str:
    """Key of an asset's table of a batch; its presence is the commit."""
    return f"tables/{asset}/{batch}.parquet"


def failures_key(stage: str, batch: str) -> str:
    """Key of a stage's failures of a batch."""
    return f"failures/{stage}/{batch}.parquet"


def provenance_key(stage: str, batch: str) -> str:
    """Key of a stage's provenance of a batch."""
    return f"provenance/{stage}/{batch}.parquet"


def checkpoints_key(stage: str, batch: str) -> str:
    """Key of the folder with a stage's checkpoints of a batch."""
    return f"checkpoints/{stage}/{batch}"


def encoded_key(stage: str, batch: str, episode_id: str, fingerprint: str) -> str:
    """Key of an episode's encoded audio, next to the checkpoint that refers to it."""
    return f"{checkpoints_key(stage, batch)}/{episode_id}-{fingerprint}.encoded"


def working_key(sha256: str, *variant: str | None) -> str:
    """Key of the working audio of an original; `variant` identifies its tracks and the separator, if any."""
    return f"audio/working/{sha256[:2]}/{'-'.join(filter(None, (sha256, *variant)))}.flac"


def diarization_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's full diarization: `rttm` for who speaks when, `parquet` for the speakers."""
    return f"diarization/{batch}/{episode_id}.{suffix}"


def transcript_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's transcript in one format."""
    return f"transcripts/{batch}/{episode_id}.{suffix}"


def sealed_key(batch: str, path: str = "") -> str:
    """Key of a batch's sealed shards: of all, of the folder of one version, or of one shard, `<version>/<folder>/…`."""
    return f"sealed/{batch}/{path}" if path else f"sealed/{batch}"
