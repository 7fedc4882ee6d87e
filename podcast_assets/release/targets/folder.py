"""Release target in a local folder. A release is a second folder, of which only what differs is written, that takes its place.

Files that stay are links to the same bytes, and no file is ever written in place: whoever has one open reads on. A release that was
broken off is a hidden folder, which the next one removes.
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
"""Files that are known by their size: to hash them would be to read the whole dataset."""


class FolderTarget:
    """A dataset in a folder."""

    repo: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def where(self) -> str:
        """Path of the dataset."""
        return str(self.folder)

    def head(self) -> PublishedHead:
        """What is in the folder; a swap that was broken off is ended first."""
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
            p.relative_to(self.folder).as_posix(): _find_files(p) for p in sorted(self.folder.rglob("*")) if p.is_file()
        }

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """A folder has none."""
        return ()

    def read(self, head: PublishedHead, path: str) -> bytes:
        """A file of the folder.

        Raises:
            Stale: it is another dataset by now.
        """
        with _unless_swapped(self.folder, head.revision):
            data = (self.folder / path).read_bytes()
            if _folder_revision(self.folder) == head.revision:
                return data
        raise self._make_stale()

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """A second folder, which is gone if it is not committed. Stores that release to one folder do so one after the other."""
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
        """There is no history."""
        return revision

    def tag(self, revision: str) -> str | None:
        """A folder has no tags."""
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
        return Stale(f"{self.where} was published to meanwhile", wait=0.1)

    def _finish_swap(self) -> None:
        """End a swap by two renames between which somebody pulled the plug."""
        if self._previous_folder.is_dir() and not self.folder.exists():
            self._previous_folder.rename(self.folder)

    def take(self, fresh: Path) -> None:
        """Put a finished folder in place of the dataset."""
        if not self.folder.exists():
            fresh.rename(self.folder)
        elif not _swap_names(fresh, self.folder):
            # without an atomic swap there is no dataset for a moment; `_finish_swap` repairs a crash in between
            shutil.rmtree(self._previous_folder, ignore_errors=True)
            self.folder.rename(self._previous_folder)
            fresh.rename(self.folder)
            shutil.rmtree(self._previous_folder)
        _fsync_path(self.folder.parent)


class _FolderChange:
    """The second folder."""

    def __init__(self, target: FolderTarget, head: PublishedHead, folder: Path) -> None:
        self.target, self.before, self.folder = target, head, folder
        self.gone: set[str] = set()

    @property
    def scratch(self) -> Path:
        """In the second folder, so that a rename brings a shard to its place."""
        return self.folder / _SCRATCH

    def has(self, path: str, sha256: str) -> int | None:
        """Nothing is left of a release that was broken off."""
        return None

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Move a file in."""
        _fsync_path(file)
        file.replace(self._place_of(path))

    def add(self, path: str, data: bytes) -> None:
        """Write a small file."""
        with self._place_of(path).open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())

    def remove(self, path: str) -> None:
        """Do not take it over."""
        self.gone.add(path)

    def commit(self, message: str, sure: Callable[[], None]) -> str:
        """Link what stays, and swap the folders."""
        shutil.rmtree(self.scratch)
        for path in self.before.files:
            if path not in self.gone and not (self.folder / path).exists():
                _link_file(self.target.folder / path, self._place_of(path))
        for folder in {self.folder, *(p.parent for p in self.folder.rglob("*"))}:
            _fsync_path(folder)
        sure()
        self.target.take(self.folder)
        return str(_folder_revision(self.target.folder))

    def _place_of(self, path: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def _find_files(path: Path) -> TargetFile:
    size = path.stat().st_size
    return TargetFile(size, None if path.suffix == _SHARDS else hashlib.sha256(path.read_bytes()).hexdigest())


def _folder_revision(folder: Path) -> str | None:
    """Another one after each release: a swap brings another folder."""
    with contextlib.suppress(FileNotFoundError):
        facts = folder.stat()
        return f"{facts.st_dev}-{facts.st_ino}-{facts.st_ctime_ns}"  # numbers of folders are given out again
    return None


@contextlib.contextmanager
def _unless_swapped(folder: Path, revision: str | None) -> Iterator[None]:
    """A file that is not there is an error only where the folder is still the one that was looked at."""
    try:
        yield
    except FileNotFoundError:
        if _folder_revision(folder) == revision:
            raise


def _link_file(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.EMLINK):
            raise
        shutil.copyfile(source, place)  # no links there


def _swap_names(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
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
