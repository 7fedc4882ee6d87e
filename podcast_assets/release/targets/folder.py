"""Release target in a local folder. A release is prepared in a hidden second folder, which then replaces the first atomically.

Unchanged files are hard links to the same bytes, and no file is written in place, so that readers of open files are not disturbed.
An interrupted release leaves the hidden folder, which the next one removes.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import temporary_file_lock
from podcast_assets.release.published import LIST
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, Stale, TargetFile
from podcast_assets.store.store import Store

_AT_FDCWD = -100
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""
_SCRATCH = ".scratch"
_SHARDS = ".tar"
"""Suffix of files that are compared by size, because hashing them would mean reading the whole dataset."""


class FolderTarget:
    """Release target in a folder."""

    repo: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def where(self) -> str:
        """Path of the dataset."""
        return str(self.folder)

    def head(self) -> PublishedHead:
        """List the dataset; an interrupted swap is completed first."""
        if self._previous_folder.is_dir():
            with self._lock_folder():
                self._finish_swap()
        while True:
            revision = _folder_revision(self.folder)
            with _unless_swapped(self.folder, revision):
                files = self._read_files()
                if _folder_revision(self.folder) == revision:
                    return PublishedHead(revision, files)

    def _read_files(self) -> dict[str, TargetFile]:
        if not self.folder.is_dir() or not any(self.folder.iterdir()):
            return {}
        if not (self.folder / LIST).is_file():
            raise Misconfigured(f"{self.folder} contains something other than a dataset: choose an empty or new folder")
        return {
            p.relative_to(self.folder).as_posix(): _target_file(p)
            for p in sorted(self.folder.rglob("*"))
            if p.is_file()
        }

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """Return nothing: a folder keeps no history."""
        return ()

    def read(self, head: PublishedHead, path: str) -> bytes:
        """Read a file of the dataset.

        Raises:
            Stale: another release has replaced the folder.
        """
        with _unless_swapped(self.folder, head.revision):
            data = (self.folder / path).read_bytes()
            if _folder_revision(self.folder) == head.revision:
                return data
        raise self._make_stale()

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """Begin a release in a second folder, which is removed unless it is committed. Releases to one folder take turns."""
        with self._lock_folder():
            if _folder_revision(self.folder) != head.revision:
                raise self._make_stale()
            shutil.rmtree(self._next_folder, ignore_errors=True)
            (self._next_folder / _SCRATCH).mkdir(parents=True)
            try:
                yield _FolderChange(self, head, self._next_folder)
            finally:
                shutil.rmtree(self._next_folder, ignore_errors=True)

    def purge(self, store: Store, revision: str) -> str:
        """Return the revision unchanged: a folder keeps no history."""
        return revision

    def tag(self, revision: str) -> str | None:
        """Return None: a folder has no tags."""
        return None

    @property
    def _next_folder(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.next")

    @property
    def _previous_folder(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.last")

    def _lock_folder(self) -> contextlib.AbstractContextManager[None]:
        lock = self.folder.with_name(f".{self.folder.name}.lock")
        return temporary_file_lock(lock, f"{self.where}: waiting for another release to it")

    def _make_stale(self) -> Stale:
        return Stale(f"{self.where}: another release was published meanwhile", wait=0.1)

    def _finish_swap(self) -> None:
        """Complete a swap by two renames that was interrupted between them."""
        if self._previous_folder.is_dir() and not self.folder.exists():
            self._previous_folder.rename(self.folder)

    def replace_with(self, new: Path) -> None:
        """Replace the dataset by a finished folder."""
        if not self.folder.exists():
            new.rename(self.folder)
        elif not _swap_names(new, self.folder):
            # without an atomic swap there is no dataset for a moment; `_finish_swap` repairs a crash in between
            shutil.rmtree(self._previous_folder, ignore_errors=True)
            self.folder.rename(self._previous_folder)
            new.rename(self.folder)
            shutil.rmtree(self._previous_folder)
        _fsync_path(self.folder.parent)


class _FolderChange:
    """A release in progress, in the second folder."""

    def __init__(self, target: FolderTarget, head: PublishedHead, folder: Path) -> None:
        self.target, self.before, self.folder = target, head, folder
        self.removed: set[str] = set()

    @property
    def scratch(self) -> Path:
        """Folder on the same file system as the release, so that shards can be renamed into it."""
        return self.folder / _SCRATCH

    def reuse(self, path: str, sha256: str) -> int | None:
        """Return None: `change` has removed the files of an interrupted release."""
        return None

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Move a file into the release."""
        _fsync_path(file)
        file.replace(self._make_path(path))

    def add(self, path: str, data: bytes) -> None:
        """Write a small file."""
        with self._make_path(path).open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())

    def remove(self, path: str) -> None:
        """Leave a published file out of the release."""
        self.removed.add(path)

    def commit(self, message: str, final_check: Callable[[], None]) -> str:
        """Link the unchanged files, and swap the folders."""
        shutil.rmtree(self.scratch)
        for path in self.before.files:
            if path not in self.removed and not (self.folder / path).exists():
                _link_file(self.target.folder / path, self._make_path(path))
        for folder in {self.folder, *(p.parent for p in self.folder.rglob("*"))}:
            _fsync_path(folder)
        final_check()
        self.target.replace_with(self.folder)
        return str(_folder_revision(self.target.folder))

    def _make_path(self, path: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _target_file(path: Path) -> TargetFile:
    size = path.stat().st_size
    return TargetFile(size, None if path.suffix == _SHARDS else hashlib.sha256(path.read_bytes()).hexdigest())


def _folder_revision(folder: Path) -> str | None:
    """Identity of the folder, which differs after each release; None if there is no folder."""
    with contextlib.suppress(FileNotFoundError):
        facts = folder.stat()
        return f"{facts.st_dev}-{facts.st_ino}-{facts.st_ctime_ns}"  # inode numbers are reused
    return None


@contextlib.contextmanager
def _unless_swapped(folder: Path, revision: str | None) -> Iterator[None]:
    """Suppress FileNotFoundError if the folder was replaced meanwhile."""
    try:
        yield
    except FileNotFoundError:
        if _folder_revision(folder) == revision:
            raise


def _link_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copyfile(source, target)  # the file system has no hard links


def _swap_names(one: Path, other: Path) -> bool:
    """Exchange two paths atomically; False if the system does not support it."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _fsync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
