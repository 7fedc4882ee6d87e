"""A dataset in a bucket of an object store, which has no way to publish many files at once.

New files come first, those that change after them, the list of shards last, and what is to go goes after that. Between them readers
of shards that were made anew may see the new bytes before the list tells of them: who needs releases at once or not at all takes a
Hub repository or a folder. Nor is there a lock that holds for several machines: two that publish to one place at the same time are
told in most cases, and may mix their files in the others.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import file_lock
from podcast_assets.release.published import FOLDERS, LIST
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, Stale, TargetFile
from podcast_assets.store.store import SCRATCH_PREFIX, Store


class BucketTarget:
    """A dataset below a prefix."""

    repo: str | None = None

    def __init__(self, store: Store, folder: str = "") -> None:
        """A dataset under a key of a store; by default in all of it."""
        self.store, self.folder = store, folder.strip("/")

    @property
    def where(self) -> str:
        """URL of the dataset."""
        return str(self.store.path(self.folder)) if self.folder else str(self.store.root)

    def head(self) -> PublishedHead:
        """What lies there. Shards are known by their size, other files by their content."""
        entries = list(self.store.list(self.folder))
        files = {}
        for entry in entries:
            path = entry.key.removeprefix(f"{self.folder}/" if self.folder else "")
            sha256 = None if path.endswith(".tar") else hashlib.sha256(self.store.read(entry.key)).hexdigest()
            files[path] = TargetFile(entry.bytes, sha256)
        # shards alone are what a first release left that was broken off
        if LIST not in files and any(
            not path.startswith(tuple(f"{top}/" for top in FOLDERS.values())) for path in files
        ):
            raise Misconfigured(f"{self.where} contains something other than a dataset: choose another prefix")
        listed = files.get(LIST)
        return PublishedHead(listed.sha256 if listed else None, files)

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """A bucket has none."""
        return ()

    def read(self, head: PublishedHead, path: str) -> bytes:
        """A file."""
        return self.store.read(self.key(path))

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """Files wait on this machine until the commit. Of this machine's releases to one place, one goes on at a time."""
        lock = file_lock(self.store.storage.lock("_dataset"), f"{self.where}: waiting for another release to it")
        with lock, tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            self.must_be(head)
            yield _BucketChange(self, head, Path(folder))

    def must_be(self, head: PublishedHead) -> None:
        """Make sure that nobody has published.

        Raises:
            Stale: somebody has.
        """
        key = self.key(LIST)
        now = hashlib.sha256(self.store.read(key)).hexdigest() if self.store.exists(key) else None
        if now != head.revision:
            raise Stale(f"{self.where} was published to meanwhile", wait=0.5)

    def purge(self, store: Store, revision: str) -> str:
        """There is no history."""
        return revision

    def tag(self, revision: str) -> str | None:
        """A bucket has no tags."""
        return None

    def key(self, path: str) -> str:
        """Key of a file in the store."""
        return f"{self.folder}/{path}" if self.folder else path


class _BucketChange:
    """Files that wait, and those that are new and need not."""

    def __init__(self, target: BucketTarget, head: PublishedHead, scratch: Path) -> None:
        self.target, self.before, self._scratch = target, head, scratch
        self.waiting: dict[str, Path | bytes] = {}
        self.gone: list[str] = []

    @property
    def scratch(self) -> Path:
        """A temporary folder."""
        return self._scratch

    def has(self, path: str, sha256: str) -> int | None:
        """Nothing is known of what a release that was broken off left."""
        return None

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """A new shard is uploaded now: no list names it yet. One that changes waits."""
        if path not in self.before.files:
            self.target.store.upload(file, self.target.key(path))
            return
        place = self._scratch / sha256
        file.replace(place)
        self.waiting[path] = place

    def add(self, path: str, data: bytes) -> None:
        """Written with the commit."""
        self.waiting[path] = data

    def remove(self, path: str) -> None:
        """Removed after the commit."""
        self.gone.append(path)

    def commit(self, message: str, sure: Callable[[], None]) -> str:
        """Write what waits, the list last; then remove what is to go."""
        store, key = self.target.store, self.target.key
        self.target.must_be(self.before)
        sure()
        for path in sorted(self.waiting, key=lambda p: (p == LIST, p)):
            content = self.waiting[path]
            if path == LIST:
                self.target.must_be(self.before)
            if isinstance(content, Path):
                store.upload(content, key(path))
            else:
                store.write(key(path), content)
        for path in self.gone:
            store.remove(key(path))
        return str(self.target.head().revision)
