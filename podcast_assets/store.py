"""Where things lie in the store, and how they are written so that nobody ever sees half of one.

Keys are paths relative to the store's root, with forward slashes. On a local folder a file appears by rename after fsync; on an
object store by one PUT, which is atomic there.
"""

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import polars as pl
from upath import UPath

from podcast_assets import locks
from podcast_assets.errors import STORE_TROUBLES, BadInput, StoreTrouble
from podcast_assets.schema import Columns, schema

BLOCK = 1 << 20
"""Bytes read at a time; larger blocks do not hash faster."""

SCRATCH_PREFIX = "podcast-assets-scratch-"
"""Names of temporary files and folders begin so: what a crash leaves of them is known by it, and removed by the janitor."""


class DamagedTable(BadInput):
    """A table in the store cannot be read: it is cut off, or its bytes have changed since they were written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that was stored under its content."""

    key: str
    sha256: str
    md5: str
    bytes: int


@dataclass(frozen=True)
class Store:
    """A store at a folder or at any URL that fsspec knows."""

    root: UPath = field(repr=False)

    @classmethod
    def at(cls, location: str | Path) -> "Store":
        """The store at a folder or URL; a local folder is made absolute, so that runs in other folders find it."""
        path = UPath(str(location).removeprefix("file://"))
        return cls(path.absolute() if isinstance(path, Path) else path)

    @property
    def is_local(self) -> bool:
        """Whether the store is a folder of this machine."""
        return isinstance(self.root, Path)

    def path(self, key: str) -> UPath:
        """The full path of a key."""
        return self.root / key

    def _local(self, key: str) -> Path:
        return Path(str(self.path(key)))

    def exists(self, key: str) -> bool:
        """Whether a key is there, whole."""
        return self.path(key).exists()

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, key: str, data: bytes) -> None:
        """Write a small file: whole or not at all."""
        if self.is_local:
            with self.writing(key) as f:
                f.write(data)
        else:
            self.path(key).write_bytes(data)

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        """A file to write (and seek in) that appears under `key` when the block ends well, and leaves nothing when it does not.

        Raises:
            StoreTrouble: the store, or the folder for temporary files, is full or read-only.
        """
        if self.is_local:
            target = self._local(key)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
            with self._told(key):
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with _Target(io.FileIO(temporary, "w+")) as f:
                        yield cast("BinaryIO", f)
                        f.settle()
                    temporary.replace(target)
                finally:
                    temporary.unlink(missing_ok=True)
                _fsync_folder(target.parent)
        else:
            with (
                self._told(key, tempfile.gettempdir()),
                tempfile.NamedTemporaryFile("w+b", prefix=SCRATCH_PREFIX) as f,
            ):
                yield cast("BinaryIO", f)
                f.flush()
                self._upload(Path(f.name), key)

    @contextlib.contextmanager
    def _told(self, key: str, place: str | None = None) -> Iterator[None]:
        """Name what is full or read-only, by default the store: the error of the system names at most a file."""
        try:
            yield
        except OSError as error:
            if isinstance(error, StoreTrouble) or error.errno not in STORE_TROUBLES:
                raise
            what, remedy = STORE_TROUBLES[error.errno]
            where = f"the folder for temporary files, {place}," if place else f"the store {self.root}"
            raise StoreTrouble(
                error.errno,
                f"{where} {what} ({key} could not be written): {remedy} there, then materialize again. What is done is kept.",
            ) from error

    def put_original(self, source: IO[bytes], suffix: str) -> Stored:
        """Store a file under its content, hashing it (SHA-256 and MD5) in the one pass that copies it."""
        sha, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        scratch = self._local("scratch") if self.is_local else Path(tempfile.gettempdir())
        temporary = scratch / f"{SCRATCH_PREFIX}{uuid.uuid4().hex}.part"
        with self._told("an original", None if self.is_local else str(scratch)):
            scratch.mkdir(parents=True, exist_ok=True)
            try:
                with temporary.open("wb") as f:
                    while block := source.read(BLOCK):
                        sha.update(block)
                        md5.update(block)
                        size += len(block)
                        f.write(block)
                    f.flush()
                    os.fsync(f.fileno())
                digest = sha.hexdigest()
                key = f"audio/original/{digest[:2]}/{digest}{suffix}"
                if not self.exists(key):
                    self._move_in(temporary, key)
            finally:
                temporary.unlink(missing_ok=True)
        return Stored(key, digest, md5.hexdigest(), size)

    def _move_in(self, source: Path, key: str) -> None:
        if self.is_local:
            local = self._local(key)
            local.parent.mkdir(parents=True, exist_ok=True)
            source.replace(local)
            _fsync_folder(local.parent)
        else:
            self._upload(source, key)

    def _upload(self, source: Path, key: str) -> None:
        """Upload a whole file: object stores show it when all of it is there, and nothing when the upload breaks off."""
        target = self.path(key)
        target.fs.put_file(str(source), target.path)

    def remove(self, key: str) -> None:
        """Remove a file or a folder with all that is in it; nothing there is fine."""
        path = self.path(key)
        with self._told(key):
            if path.is_dir():
                path.fs.rm(path.path, recursive=True)
            elif path.exists():
                path.unlink()

    # -- tables ----------------------------------------------------------------------------------------------------

    def write_table(self, key: str, table: pl.DataFrame, notes: Mapping[str, str] | None = None) -> None:
        """Write a table as parquet, whole or not at all, with notes that are committed together with it."""
        buffer = BytesIO()
        table.write_parquet(buffer, compression="zstd", statistics=True, metadata=dict(notes or {}))
        self.write(key, buffer.getvalue())

    def read_table(self, key: str, columns: Columns) -> pl.DataFrame | None:
        """A table, or None where there is none yet or it was written with other columns."""
        found = self.read_noted_table(key, columns)
        return None if found is None else found[0]

    def read_noted_table(self, key: str, columns: Columns) -> tuple[pl.DataFrame, dict[str, str]] | None:
        """A table with the notes that were written with it; None as for `read_table`.

        Raises:
            DamagedTable: it is there, and cannot be read.
        """
        try:
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        try:
            table, notes = pl.read_parquet(BytesIO(data)), pl.read_parquet_metadata(BytesIO(data))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise DamagedTable(f"{self.path(key)} is damaged ({len(data):,} bytes; {why})") from error
        return (table, notes) if table.schema == schema(columns) else None

    @contextlib.contextmanager
    def batch_lock(self, batch: str) -> Iterator[None]:
        """Hold a batch while the block runs, so that two runs of it on this machine take turns.

        An flock: the kernel frees it when its holder dies. Object stores have no locks to offer: there, it holds nothing.
        """
        if not self.is_local:
            yield
            return
        with contextlib.ExitStack() as stack:
            with self._told(f"scratch/{batch}.lock"):
                stack.enter_context(
                    locks.held(self._lock_path(batch), f"{batch}: waiting for another run of this batch")
                )
            yield

    def batch_lock_if_free(self, batch: str) -> contextlib.AbstractContextManager[bool]:
        """Hold a batch while the block runs, if no run of this machine does; gives whether it is held. Object stores: always."""
        return locks.held_if_free(self._lock_path(batch)) if self.is_local else contextlib.nullcontext(True)

    def _lock_path(self, batch: str) -> Path:
        return self._local(f"scratch/{batch}.lock")

    def local_copy(self, key: str) -> contextlib.AbstractContextManager[Path]:
        """A path of this machine with the content of a key: the file itself in a local store, else a temporary copy."""
        if self.is_local:
            return contextlib.nullcontext(self._local(key))
        return self._downloaded(key)

    @contextlib.contextmanager
    def _downloaded(self, key: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            target = Path(folder) / key.rsplit("/", 1)[-1]
            with self.path(key).open("rb") as source, target.open("wb") as f:
                shutil.copyfileobj(source, f, BLOCK)
            yield target


class _Target(io.BufferedRandom):
    """A file that remembers that a write failed: libsndfile, whose callback it is, goes on as if nothing had been."""

    trouble: OSError | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = error
            raise

    def settle(self) -> None:
        """Bring all of it to the disk.

        Raises:
            OSError: a write failed, now or before.
        """
        if self.trouble is not None:
            raise self.trouble
        self.flush()
        os.fsync(self.fileno())

    def __exit__(self, *raised: Any) -> None:
        try:
            super().__exit__(*raised)
        finally:
            if self.trouble is not None and raised[0] is not None:
                raise self.trouble  # what was raised since, such as an assertion about what was written, follows from it


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


def working_key(sha256: str, separated: str | None = None) -> str:
    """Key of the working audio of an original; `separated` tells apart what different separators leave of it."""
    return f"audio/working/{sha256[:2]}/{sha256}{f'-{separated}' if separated else ''}.flac"


def diarization_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's full diarization: `rttm` for who speaks when, `parquet` for the speakers."""
    return f"diarization/{batch}/{episode_id}.{suffix}"


def transcript_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's transcript in one format."""
    return f"transcripts/{batch}/{episode_id}.{suffix}"


def sealed_key(batch: str, version: str) -> str:
    """Key of the folder with the sealed shards of a batch; another content is another version."""
    return f"sealed/{batch}/{version}"


def _fsync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
