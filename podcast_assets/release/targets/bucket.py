"""Release target in a bucket. Object stores cannot publish several files atomically.

New files are written first, then changed ones, then the list of shards; removed files are deleted last. In between, readers may see
a rebuilt shard before the list describes it: use a Hub repository or a folder if releases must be atomic. No lock covers several
machines: two that publish to the same prefix at the same time usually notice, but their files may get mixed.
"""

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.locks import file_lock
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.release.published import FOLDERS, LIST
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, Stale, TargetFile
from podcast_assets.store.store import Store


class BucketTarget:
    """Release target below a prefix of a bucket."""

    repo: str | None = None

    def __init__(self, store: Store, folder: str = "") -> None:
        """Create the target.

        Args:
            store: store in the bucket.
            folder: key below which the dataset is; by default the whole store.
        """
        self.store, self.folder = store, folder.strip("/")

    @property
    def where(self) -> str:
        """URL of the dataset."""
        return str(self.store.path(self.folder)) if self.folder else str(self.store.root)

    def head(self) -> PublishedHead:
        """List the dataset, with the hashes of all files except shards."""
        entries = list(self.store.list(self.folder))
        files = {}
        for entry in entries:
            path = entry.key.removeprefix(f"{self.folder}/" if self.folder else "")
            sha256 = None if path.endswith(".tar") else hashlib.sha256(self.store.read(entry.key)).hexdigest()
            files[path] = TargetFile(entry.bytes, sha256)
        # an interrupted first release leaves shards only
        if LIST not in files and any(
            not path.startswith(tuple(f"{top}/" for top in FOLDERS.values())) for path in files
        ):
            raise Misconfigured(f"{self.where} contains something other than a dataset: choose another prefix")
        listed = files.get(LIST)
        return PublishedHead(listed.sha256 if listed else None, files)

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """Return nothing: a bucket keeps no history."""
        return ()

    def read(self, head: PublishedHead, path: str) -> bytes:
        """Read a file of the dataset."""
        return self.store.read(self.key(path))

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """Begin a release; changed files are kept on this machine until the commit. Releases of one machine take turns."""
        lock = file_lock(self.store.storage.lock("_dataset"), f"{self.where}: waiting for another release to it")
        with lock, tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            self.require_head(head)
            yield _BucketChange(self, head, Path(folder))

    def require_head(self, head: PublishedHead) -> None:
        """Check that the dataset is still at this head.

        Raises:
            Stale: another release was published.
        """
        key = self.key(LIST)
        now = hashlib.sha256(self.store.read(key)).hexdigest() if self.store.exists(key) else None
        if now != head.revision:
            raise Stale(f"{self.where}: another release was published meanwhile", wait=0.5)

    def purge(self, store: Store, revision: str) -> str:
        """Return the revision unchanged: a bucket keeps no history."""
        return revision

    def tag(self, revision: str) -> str | None:
        """Return None: a bucket has no tags."""
        return None

    def key(self, path: str) -> str:
        """Key in the store of a file of the dataset."""
        return f"{self.folder}/{path}" if self.folder else path


class _BucketChange:
    """A release in progress: new shards are uploaded at once, everything else with the commit."""

    def __init__(self, target: BucketTarget, head: PublishedHead, scratch: Path) -> None:
        self.target, self.before, self._scratch = target, head, scratch
        self.pending: dict[str, Path | bytes] = {}
        self.removed: list[str] = []

    @property
    def scratch(self) -> Path:
        """Temporary folder."""
        return self._scratch

    def reuse(self, path: str, sha256: str) -> int | None:
        """Return None: files of an interrupted release are not recognized."""
        return None

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a new shard at once, because no list refers to it yet; keep a changed one until the commit."""
        if path not in self.before.files:
            self.target.store.upload(file, self.target.key(path))
            return
        kept = self._scratch / sha256
        file.replace(kept)
        self.pending[path] = kept

    def add(self, path: str, data: bytes) -> None:
        """Keep a small file until the commit."""
        self.pending[path] = data

    def remove(self, path: str) -> None:
        """Delete a file after the commit."""
        self.removed.append(path)

    def commit(self, message: str, final_check: Callable[[], None]) -> str:
        """Write the pending files, the list last; then delete the removed ones."""
        store, key = self.target.store, self.target.key
        self.target.require_head(self.before)
        final_check()
        for path in sorted(self.pending, key=lambda p: (p == LIST, p)):
            content = self.pending[path]
            if path == LIST:
                self.target.require_head(self.before)
            if isinstance(content, Path):
                store.upload(content, key(path))
            else:
                store.write(key(path), content)
        for path in self.removed:
            store.remove(key(path))
        return str(self.target.head().revision)
