"""Protocol of storage backends: a few operations on whole files that folders and buckets both support."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

BLOCK = 1 << 20
"""Bytes read at a time; larger blocks do not hash faster."""

SCRATCH_PREFIX = "podcast-assets-scratch-"
"""Names of temporary files and folders begin so: what a crash leaves of them is known by it, and removed by the janitor."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the store, as listed."""

    key: str
    bytes: int
    modified: float
    """Time of the last change, POSIX seconds."""
    trouble: str | None = None
    """Why it can be listed and not read."""
    content: str | None = None
    """The server's entity tag, another one for other content: its times are in seconds. None in a folder."""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What lies directly in a folder."""

    files: tuple[Entry, ...] = ()
    folders: frozenset[str] = frozenset()
    """Names of the folders in it; in a folder of this machine they may be empty."""


class Storage(Protocol):
    """Protocol of a storage backend. Keys are relative to its root, with forward slashes.

    Every method raises `StoreTrouble`, with one line for people, where the place itself cannot be had: full, read-only, not
    reached, or denied.
    """

    def exists(self, key: str) -> bool:
        """Whether a file exists."""
        ...

    def read(self, key: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """A file to read and seek in, without a copy of the whole.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def local_copy(self, key: str) -> AbstractContextManager[Path]:
        """A path of this machine with the content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def list(self, folder: str) -> Iterator[Entry]:
        """All files below a folder, in any order; none where there is no such folder. One that fails raises."""
        ...

    def list_folder(self, folder: str) -> FolderListing:
        """The files and folders directly in a folder, in any order; none where there is no such folder. One that fails raises."""
        ...

    def names(self, folder: str) -> set[str]:
        """Names of the files and folders in a folder; empty where there is no such folder."""
        ...

    def write(self, key: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""
        ...

    def writing(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A file to write and seek in, that appears when the block ends well, and leaves nothing when it does not."""
        ...

    def upload(self, source: Path, key: str) -> None:
        """Copy a file of this machine here, whole or not at all."""
        ...

    def move_in(self, source: Path, key: str) -> None:
        """As `upload`, of a file in `scratch` that nobody needs afterwards."""
        ...

    def holds(self, source: Path, key: str) -> bool:
        """Whether what lies under a key is a file of this machine, as far as can be told without reading it back."""
        ...

    def remove(self, key: str) -> None:
        """Remove a file, or a folder with all that is in it; nothing there is fine."""
        ...

    def remove_unfinished_uploads(self, before: float, spared: Collection[str]) -> int:
        """Abort incomplete uploads started before a time (POSIX seconds) and return their number.

        Args:
            before: POSIX seconds.
            spared: folders in which others upload.
        """
        ...

    def scratch(self) -> Path:
        """A folder of this machine, made here, for files that `move_in` takes."""
        ...

    def lock(self, name: str) -> Path:
        """A file of this machine for a lock that is this store's alone."""
        ...
