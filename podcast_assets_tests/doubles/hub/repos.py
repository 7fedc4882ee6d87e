"""Repositories of the double: commits, refs and blobs, in a folder."""

import fnmatch
import hashlib
import itertools
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

LFS_PATTERNS = ("*.tar", "*.parquet", "*.flac", "*.opus", "*.png", "*.bin")
"""Names of files that git keeps by LFS: datasets' and models'."""
LFS_THRESHOLD = 10 << 20
"""Bytes above which every file is large."""
_count = itertools.count()


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    size: int
    oid: str
    """Git's."""
    sha256: str
    lfs: bool


@dataclass(frozen=True)
class Commit:
    """A commit and its files."""

    title: str
    parent: str | None
    tree: dict[str, Entry]
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()))


@dataclass
class PullRequest:
    """A pull request onto main."""

    number: int
    title: str
    base: str
    author: str
    status: str = "draft"


@dataclass
class Repo:
    """A repository of a kind, `models` or `datasets`."""

    kind: str
    licence: str = ""
    private: bool = False
    gated: str | bool = False
    refs: dict[str, str] = field(default_factory=dict)
    """Branches and `refs/pr/…` → commit."""
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    pull_requests: dict[int, PullRequest] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, tag, ref or id names."""
        for known in (self.refs, self.tags):
            if revision in known:
                return known[revision]
        return revision if revision in self.commits else None

    def commit(self, ref: str, title: str, tree: dict[str, Entry]) -> str:
        """Move a ref to a new commit."""
        parent = self.refs.get(ref)
        sha = hashlib.sha1(f"{title}{parent}{next(_count)}".encode()).hexdigest()
        self.commits[sha] = Commit(title, parent, tree)
        self.refs[ref] = sha
        return sha

    def propose(self, title: str, author: str) -> int:
        """Open a pull request; gives its number."""
        number = len(self.pull_requests) + 1
        self.pull_requests[number] = PullRequest(number, title, self.refs["main"], author)
        self.refs[f"refs/pr/{number}"] = self.refs["main"]
        return number

    def delete(self, ref: str, path: str) -> None:
        """Commit that a file is no more."""
        tree = self.commits[self.refs[ref]].tree
        self.commit(ref, f"Delete {path}", {p: e for p, e in tree.items() if p != path})

    def history(self, ref: str = "main") -> list[str]:
        """Titles of its commits, the newest first."""
        titles, sha = [], self.refs.get(ref)
        while sha:
            titles.append(self.commits[sha].title)
            sha = self.commits[sha].parent
        return titles

    def forget(self, gone: set[str]) -> None:
        """Take large files out of the history: commits that had one, and all after them, get other ids; refs and tags follow."""
        moved: dict[str | None, str] = {}
        before, self.commits = self.commits, {}
        for sha, commit in before.items():  # parents come first
            tree = {p: e for p, e in commit.tree.items() if not (e.lfs and e.sha256 in gone)}
            parent = moved.get(commit.parent, commit.parent)
            if len(tree) < len(commit.tree) or parent != commit.parent:
                moved[sha] = hashlib.sha1(f"{sha}{parent}{next(_count)}".encode()).hexdigest()
            self.commits[moved.get(sha, sha)] = replace(commit, parent=parent, tree=tree)
        for names in (self.refs, self.tags):
            names.update({name: moved.get(sha, sha) for name, sha in names.items()})
        for request in self.pull_requests.values():
            request.base = moved.get(request.base, request.base)

    def merge(self, number: int) -> bool:
        """Merge a pull request as one commit; False where a file was changed on both sides."""
        request = self.pull_requests[number]
        base, ours = self.commits[request.base].tree, self.commits[self.refs[f"refs/pr/{number}"]].tree
        main = dict(self.commits[self.refs["main"]].tree)
        for path in {*base, *ours}:
            if ours.get(path) == base.get(path):
                continue
            if main.get(path) != base.get(path):
                return False
            if path in ours:
                main[path] = ours[path]
            else:
                del main[path]
        self.commit("main", request.title, main)
        request.status = "merged"
        return True


class Blobs:
    """Contents by their SHA-256."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        return self.root / sha256

    def put(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.path(digest).write_bytes(data)
        return digest

    def add(self, path: str, data: bytes) -> Entry:
        """Store a file as git would, by LFS or not."""
        return self.large_entry(self.put(data)) if is_large(path, len(data)) else self.add_regular(data)

    def add_regular(self, data: bytes) -> Entry:
        """Store a small file, kept in git."""
        return Entry(len(data), git_oid(data), self.put(data), lfs=False)

    def large_entry(self, sha256: str) -> Entry:
        """The entry of a large file that has been uploaded."""
        size = self.path(sha256).stat().st_size
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return Entry(size, git_oid(pointer.encode()), sha256, lfs=True)


def is_large(path: str, size: int) -> bool:
    """Whether git keeps a file elsewhere."""
    return size > LFS_THRESHOLD or any(fnmatch.fnmatch(path.rsplit("/", 1)[-1], p) for p in LFS_PATTERNS)


def git_oid(data: bytes) -> str:
    """Git's id of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
