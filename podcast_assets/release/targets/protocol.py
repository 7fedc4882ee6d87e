"""Protocol of release targets."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from podcast_assets.store.store import Store


@dataclass(frozen=True, slots=True)
class TargetFile:
    """A published file as listed by the target, without its content. Each kind of target knows other hashes, or none."""

    size: int
    """Bytes."""
    sha256: str | None = None
    git: str | None = None
    """SHA-1 of the file as a git blob."""

    def is_file(self, sha256: str, size: int) -> bool:
        """Whether the file has this hash and size; only the size is compared if the target does not know the hash."""
        return self.size == size and (self.sha256 is None or self.sha256 == sha256)

    def is_content(self, data: bytes) -> bool:
        """Whether the file has this content; False if the target knows no hash."""
        if self.size != len(data):
            return False
        if self.sha256 is not None:
            return self.sha256 == hashlib.sha256(data).hexdigest()
        return self.git == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class PublishedHead:
    """The published state of a dataset."""

    revision: str | None = None
    """Revision that the next release must follow; None if there is no dataset yet."""
    files: Mapping[str, TargetFile] = field(default_factory=dict)
    """Path → file of the dataset."""


class Stale(Exception):
    """The head has changed, or it is unknown whether a commit was applied; the release must be tried again."""

    def __init__(self, why: str, wait: float = 0.0, *, uploads_lost: bool = False) -> None:
        super().__init__(why)
        self.uploads_lost = uploads_lost
        """Whether the target has dropped the files that were uploaded for the commit."""
        self.wait = wait
        """Seconds to wait before the next attempt; 0 for the default."""


class ReleaseChange(Protocol):
    """A release in progress, invisible until `commit`."""

    @property
    def scratch(self) -> Path:
        """Temporary folder on this machine for the shard being made; removed at the end."""
        ...

    def reuse(self, path: str, sha256: str) -> int | None:
        """Reuse a file that an interrupted release has uploaded; return its size, or None if it must be uploaded."""
        ...

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a file. The local file may be moved away."""
        ...

    def add(self, path: str, data: bytes) -> None:
        """Upload a small file."""
        ...

    def remove(self, path: str) -> None:
        """Remove a published file."""
        ...

    def commit(self, message: str, final_check: Callable[[], None]) -> str:
        """Publish everything at once and return the new revision.

        Args:
            message: commit message.
            final_check: called immediately before publishing; raises `Stale` if the release must not be published any more.

        Raises:
            Stale: the head has changed, or the response was lost.
        """
        ...


class ReleaseTarget(Protocol):
    """Protocol of a target for one dataset."""

    @property
    def where(self) -> str:
        """Location of the dataset, for messages."""
        ...

    @property
    def repo(self) -> str | None:
        """`owner/name` on the Hub; None elsewhere."""
        ...

    def head(self) -> PublishedHead:
        """Read the published state. Nothing is created if there is no dataset yet."""
        ...

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """Earlier published states, newest first; empty if the target keeps no history."""
        ...

    def read(self, head: PublishedHead, path: str) -> bytes:
        """Read a small file of a published state."""
        ...

    def change(self, head: PublishedHead) -> AbstractContextManager[ReleaseChange]:
        """Begin a release that follows a head, and remove the remains of an interrupted one."""
        ...

    def purge(self, store: Store, revision: str) -> str:
        """Remove taken-down content from the history, if there is one; return the revision, which this may change."""
        ...

    def tag(self, revision: str) -> str | None:
        """Tag the release unless it has a tag; return the tag, or None if the target has no tags."""
        ...
