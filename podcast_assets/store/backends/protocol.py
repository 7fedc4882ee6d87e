"""Protocol of storage backends: operations on whole files that folders and buckets both support."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

BLOCK = 1 << 20
"""Bytes per read; larger blocks do not hash faster."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the store, as listed."""

    key: str
    bytes: int
    modified: float
    """Time of the last change, POSIX seconds."""
    trouble: str | None = None
    """Why the file is listed but cannot be read; None if it can."""
    content: str | None = None
    """Entity tag of an object, which changes with the content; None in a folder."""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """Files and folders directly in a folder."""

    files: tuple[Entry, ...] = ()
    folders: frozenset[str] = frozenset()
    """Names of its subfolders; on a local disk they may be empty folders."""


class Storage(Protocol):
    """Protocol of a storage backend. Keys are relative to its root, with forward slashes.

    Every method raises `StoreTrouble` with a one-line message if the location is full, read-only, not reachable or denied.
    """

    def exists(self, key: str) -> bool:
        """Whether a file exists."""
        ...

    def read(self, key: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Open a file as a seekable stream, without a copy of the whole.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """Local path to the content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def list(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder, in any order; empty if the folder does not exist. Errors are raised."""
        ...

    def list_folder(self, folder: str) -> FolderListing:
        """List the files and folders directly in a folder, in any order; empty if it does not exist. Errors are raised."""
        ...

    def names(self, folder: str) -> set[str]:
        """Names of the files and folders in a folder; empty if the folder does not exist."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write a small file atomically."""
        ...

    def writing(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open a seekable file for writing that appears if the block succeeds, and is discarded otherwise."""
        ...

    def upload(self, source: Path, key: str) -> None:
        """Copy a local file to the store atomically."""
        ...

    def move_in(self, source: Path, key: str) -> None:
        """Move a file from `scratch` to the store; see `upload`."""
        ...

    def holds(self, source: Path, key: str) -> bool:
        """Whether a key has the content of a local file, as far as metadata tell."""
        ...

    def remove(self, key: str) -> None:
        """Remove a file or a folder with its contents, if it exists."""
        ...

    def remove_unfinished_uploads(self, before: float, spared: Collection[str]) -> int:
        """Abort incomplete uploads started before a time (POSIX seconds) and return their number.

        Args:
            before: POSIX seconds.
            spared: folders whose uploads are kept.
        """
        ...

    def scratch(self) -> Path:
        """Create a local folder for files to pass to `move_in`."""
        ...

    def lock(self, name: str) -> Path:
        """Local path of a lock file that belongs to this store."""
        ...
