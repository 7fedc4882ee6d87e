"""The folder backend, also for mounted file systems: files are renamed into place after fsync."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from podcast_assets.common.regular_files import check_folders, inspect, list_files, open_file
from podcast_assets.store.backends.access import Access, create_file, make_folders, set_file_mode
from podcast_assets.store.backends.errors import translate_errors
from podcast_assets.store.backends.pending_file import PendingFile
from podcast_assets.store.backends.protocol import Entry, FolderListing

FILLED_BY_OTHERS = frozenset({"incoming", "feeds"})
"""Folders at the top of a store in which links and special files are refused."""


class Folder:
    """Backend for files below a folder.

    Args:
        root: the folder.
        follow_links: whether links in folders that others fill are followed. Elsewhere in the store they always are.
        access: who may read new files.
    """

    def __init__(self, root: Path, *, follow_links: bool = False, access: Access = "private") -> None:
        self.root = root
        self.access: Access = access
        self.follow_links = follow_links

    def path(self, key: str) -> Path:
        """Path of a key's file."""
        return self.root / key

    def exists(self, key: str) -> bool:
        """Whether a file or a folder exists."""
        return self.path(key).exists()

    def read(self, key: str) -> bytes:
        """Read a whole file."""
        with self.open(key) as f:
            return f.read()

    def open(self, key: str) -> BinaryIO:
        """Return the file itself."""
        top, _, name = key.partition("/")
        if name and top in FILLED_BY_OTHERS:
            return open_file(self.path(top), name, follow_links=self.follow_links)
        return self.path(key).open("rb")

    @contextlib.contextmanager
    def local_copy(self, key: str) -> Iterator[Path]:
        """Return the file itself."""
        with self.open(key):  # a reason not to open it is known before its path is
            yield self.path(key)

    def list(self, folder: str) -> Iterator[Entry]:
        """List all files below a folder; files that disappear meanwhile are left out."""
        top = self.path(folder)
        if not top.exists():
            return
        if folder.split("/")[0] in FILLED_BY_OTHERS:
            for found in list_files(top, follow_links=self.follow_links):
                yield Entry(f"{folder}/{found.name}", found.bytes, found.modified, found.refusal)
            return
        for parent, folders, names in os.walk(top, onerror=_raise_error):
            # links to folders are listed, but not followed
            for name in (*names, *(f for f in folders if Path(parent, f).is_symlink())):
                with contextlib.suppress(FileNotFoundError):
                    yield self._entry(Path(parent, name))

    def list_folder(self, folder: str) -> FolderListing:
        """The files and folders in a folder; a link to a folder counts as a file, as in `list`."""
        files, folders = [], set()
        checked = folder.split("/")[0] in FILLED_BY_OTHERS
        with contextlib.suppress(FileNotFoundError), os.scandir(self.path(folder)) as found:
            for item in found:
                if item.is_dir(follow_symlinks=checked and self.follow_links):
                    folders.add(item.name)
                    continue
                with contextlib.suppress(FileNotFoundError):
                    files.append(self._checked_entry(Path(item.path)) if checked else _scanned_entry(folder, item))
        return FolderListing(tuple(files), frozenset(folders))

    def _entry(self, path: Path) -> Entry:
        facts = path.stat()
        return Entry(path.relative_to(self.root).as_posix(), facts.st_size, facts.st_mtime)

    def _checked_entry(self, path: Path) -> Entry:
        name = path.relative_to(self.root).as_posix()
        found = inspect(path, name, follow_links=self.follow_links)
        if found is None:  # it has become a folder since it was listed
            raise FileNotFoundError(path)
        return Entry(name, found.bytes, found.modified, found.refusal)

    def _target(self, key: str) -> Path:
        """Path to write a key to.

        Raises:
            NotAFile: it is reached by a link that may not be followed.
        """
        top, _, name = key.partition("/")
        if name and top in FILLED_BY_OTHERS:
            check_folders(self.path(top), name, follow_links=self.follow_links)
        return self.path(key)

    def names(self, folder: str) -> set[str]:
        """Names in a folder."""
        top = self.path(folder)
        return {path.name for path in top.iterdir()} if top.exists() else set()

    def write(self, key: str, data: bytes) -> None:
        """Write a small file."""
        with self.writing(key) as f:
            f.write(data)

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        """Open a hidden file next to the target that is renamed after fsync."""
        target = self._target(key)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        with self._translate_errors(key):
            make_folders(target.parent, self.access)
            try:
                with PendingFile(create_file(temporary, self.access)) as f:
                    yield cast("BinaryIO", f)
                    f.settle()
                    os.fsync(f.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            _fsync_folder(target.parent)

    def upload(self, source: Path, key: str) -> None:
        """Copy a file into the folder."""
        with source.open("rb") as f, self.writing(key) as target:
            shutil.copyfileobj(f, target)

    def move_in(self, source: Path, key: str) -> None:
        """Rename a file from `scratch`, which is on the same file system."""
        target = self.path(key)
        with self._translate_errors(key):
            make_folders(target.parent, self.access)
            set_file_mode(source, self.access)
            source.replace(target)
            _fsync_folder(target.parent)

    def holds(self, source: Path, key: str) -> bool:
        """Compare size and modification time."""
        target = self.path(key)
        if not target.exists():
            return False
        ours, theirs = source.stat(), target.stat()
        return (ours.st_size, ours.st_mtime) == (theirs.st_size, theirs.st_mtime)

    def remove(self, key: str) -> None:
        """Remove a file or a folder."""
        path = self.path(key)
        with self._translate_errors(key):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def remove_unfinished_uploads(self, before: float, spared: Collection[str]) -> int:
        """Return 0: unfinished files are next to their targets, where the janitor recognizes them by name."""
        return 0

    def scratch(self) -> Path:
        """Create a folder in the store, from which files can be renamed into place."""
        folder = self.path("scratch")
        with self._translate_errors("scratch"):
            make_folders(folder, self.access)
        return folder

    def lock(self, name: str) -> Path:
        """Path of a lock file in the store, shared by all machines that mount it."""
        return self.path(f"scratch/{name}.lock")

    def _translate_errors(self, key: str) -> contextlib.AbstractContextManager[None]:
        return translate_errors(key, f"the store {self.root}")


def _scanned_entry(folder: str, item: "os.DirEntry[str]") -> Entry:
    """Entry of a scanned file, without a path object for each of many thousands."""
    facts = item.stat()
    return Entry(f"{folder}/{item.name}".lstrip("/"), facts.st_size, facts.st_mtime)


def _raise_error(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # else the folder disappeared after it was listed
        raise error


def _fsync_folder(folder: Path) -> None:
    """Sync a folder so that a rename survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
