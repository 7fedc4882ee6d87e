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
    """A published file as listed by the target, without its content. Which hash it knows is its own affair."""

    size: int
    """Bytes."""
    sha256: str | None = None
    git: str | None = None
    """SHA-1 of it as git's blob."""

    def is_file(self, sha256: str, size: int) -> bool:
        """Whether it is a file of this hash, as far as can be told: by size alone where the place knows no hash."""
        return self.size == size and (self.sha256 is None or self.sha256 == sha256)

    def is_content(self, data: bytes) -> bool:
        """Whether it is this content; not, where the place knows no hash."""
        if self.size != len(data):
            return False
        if self.sha256 is not None:
            return self.sha256 == hashlib.sha256(data).hexdigest()
        return self.git == hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class PublishedHead:
    """The published state of a dataset."""

    revision: str | None = None
    """What the next release must follow; None where there is no dataset yet."""
    files: Mapping[str, TargetFile] = field(default_factory=dict)


class Stale(Exception):
    """The head has changed, or it is unknown whether a commit was applied; the release must be tried again."""

    def __init__(self, why: str, wait: float = 0.0, *, forgotten: bool = False) -> None:
        super().__init__(why)
        self.forgotten = forgotten
        """Whether the place has lost what was brought for the commit."""
        self.wait = wait
        """Seconds until it is worth while to look again."""


class ReleaseChange(Protocol):
    """A release in progress, invisible until `commit`."""

    @property
    def scratch(self) -> Path:
        """A folder of this machine for a shard that is being made; gone at the end."""
        ...

    def has(self, path: str, sha256: str) -> int | None:
        """Take over what the place has already, from a release that was broken off: its size; None where it must be brought."""
        ...

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a file, which may be moved."""
        ...

    def add(self, path: str, data: bytes) -> None:
        """Upload a small file."""
        ...

    def remove(self, path: str) -> None:
        """Leave out a file that is published now."""
        ...

    def commit(self, message: str, sure: Callable[[], None]) -> str:
        """Publish everything at once and return the new revision.

        Args:
            message: of the commit.
            sure: raises `Stale` where the release is not to be any more; called last of all.

        Raises:
            Stale: the head has moved, or the answer was lost.
        """
        ...


class ReleaseTarget(Protocol):
    """Protocol of a target for one dataset."""

    @property
    def where(self) -> str:
        """Location of the dataset, for people."""
        ...

    @property
    def repo(self) -> str | None:
        """`owner/name` on the Hub; None elsewhere."""
        ...

    def head(self) -> PublishedHead:
        """What is published now; nothing is made where there is no dataset yet."""
        ...

    def history(self, head: PublishedHead) -> Iterable[PublishedHead]:
        """What was published before, the newest first; nothing where a place remembers none."""
        ...

    def read(self, head: PublishedHead, path: str) -> bytes:
        """A small file of a head."""
        ...

    def change(self, head: PublishedHead) -> AbstractContextManager[ReleaseChange]:
        """Begin a release that follows a head. What is left of one that was broken off goes."""
        ...

    def purge(self, store: Store, revision: str) -> str:
        """Take what was taken down out of the history, where there is one; gives the revision, which that may change."""
        ...

    def tag(self, revision: str) -> str | None:
        """Give the release a name that stays, unless it has one; gives the name, None where there are no names."""
        ...
