"""A double of the Hugging Face hub, for downloads of models: what the real client asks for, over HTTP on the loopback.

It is no hub: it knows models with their commits, git's and LFS' identifiers of files, ranges, and gated models, and answers in the
form in which the hub does; there are no uploads, no redirects and no Xet. A test can cut connections, move a model on, or close it.
The client reads HF_ENDPOINT when it is imported, so it runs in a process of its own.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

LARGE = (".bin", ".onnx", ".pt")
"""Files that git keeps elsewhere (LFS)."""


class Request(NamedTuple):
    """A request that came, and its Range header."""

    method: str
    path: str
    range: str | None


@dataclass
class Repo:
    """A model: its commits, the newest last, and who may read it."""

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    licence: str = "mit"
    gated: bool = False
    told_sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the true ones."""

    @property
    def newest(self) -> str:
        return list(self.commits)[-1]


@dataclass
class Hub:
    """The double, and what a test changes in it while it runs."""

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    """Tokens whose owners accepted the terms of gated models."""
    cuts: list[int] = field(default_factory=list)
    """Each of the next downloads of a large file is broken off after so many bytes."""
    stall: threading.Event | None = None
    """The next download of a large file waits for this in its middle."""
    status: tuple[int, str] | None = None
    """Answer everything with this status and message."""
    damage: bool = False
    """Send large files with a byte flipped."""
    requests: list[Request] = field(default_factory=list)

    def commit(self, repo: str, files: Mapping[str, bytes], **about: Any) -> str:
        """Add a commit to a model, made if it is not there."""
        found = self.repos.setdefault(repo, Repo(**about))
        commit = hashlib.sha1(f"{repo}{len(found.commits)}".encode()).hexdigest()
        found.commits[commit] = files
        return commit

    def downloads(self, name: str) -> list[Request]:
        """The requests for a file's content."""
        return [r for r in self.requests if r.method == "GET" and r.path.endswith(f"/{name}")]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A double that listens on a free port of the loopback."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append(Request(self.command, path, self.headers["Range"]))
        if self.state.status:
            self._refuse(self.state.status[0], "", self.state.status[1])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path):
            name, what, revision = found.groups()
            self._with_commit(name, revision or "main", self._tree if what == "tree" else self._info)
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            name, revision, file = found.groups()
            if (repo := self.state.repos.get(name)) and repo.gated and not self._may_read():
                self._refuse(403 if self._token() else 401, "GatedRepo", f"Access to model {name} is restricted.")
            else:
                self._with_commit(name, revision, partial(self._file, file))
        else:
            self._refuse(404, "", "no such page")

    def _with_commit(self, name: str, revision: str, answer: Callable[[str, Repo, str], None]) -> None:
        repo = self.state.repos.get(name)
        if repo is None:  # the hub does not say whether a model is private or not there
            self._refuse(404 if self._token() else 401, "RepoNotFound", "Repository not found")
            return
        commit = repo.newest if revision == "main" else revision
        if commit not in repo.commits:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        answer(name, repo, commit)

    def _info(self, name: str, repo: Repo, commit: str) -> None:
        files = [
            {"rfilename": e["path"], "size": e["size"], "blobId": e["oid"]}
            | ({"lfs": {"sha256": lfs["oid"], "size": e["size"], "pointerSize": 134}} if (lfs := e.get("lfs")) else {})
            for e in _entries(repo, commit)
        ]
        self._send_json(
            {
                "_id": "0",
                "id": name,
                "sha": commit,
                "private": False,
                "gated": "auto" if repo.gated else False,
                "cardData": {"license": repo.licence},
                "tags": [],
                "downloads": 0,
                "siblings": files,
            }
        )

    def _tree(self, _name: str, repo: Repo, commit: str) -> None:
        self._send_json(_entries(repo, commit))

    def _file(self, file: str, _name: str, repo: Repo, commit: str) -> None:
        content = repo.commits[commit].get(file)
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        entry = next(e for e in _entries(repo, commit) if e["path"] == file)
        large = entry.get("lfs")
        tag = large["oid"] if large else entry["oid"]
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(entry["size"])}
            if self.state.damage:
                content = bytes([content[0] ^ 1]) + content[1:]
        start = 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or ""):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        self._send_head(206 if asked else 200, len(body), headers)
        if self.command == "GET":
            if large and self.state.cuts:
                body = body[: self.state.cuts.pop(0)]
                self.close_connection = True
            if large and (stall := self.state.stall):
                self.state.stall = None
                self.wfile.write(body[: len(body) // 2])
                stall.wait()
                return
            self.wfile.write(body)

    def _token(self) -> str:
        return (self.headers["Authorization"] or "").removeprefix("Bearer ")

    def _may_read(self) -> bool:
        return self._token() in self.state.readers

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send_head(status, 0, {"X-Error-Code": code, "X-Error-Message": message})

    def _send_json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self._send_head(200, len(body), {"Content-Type": "application/json"})
        self.wfile.write(body)

    def _send_head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _entries(repo: Repo, commit: str) -> list[dict[str, Any]]:
    """The files of a commit, as the hub lists a tree."""
    entries: list[dict[str, Any]] = []
    for path, content in repo.commits[commit].items():
        size = repo.told_sizes.get(path, len(content))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"type": "file", "path": path, "size": size, "oid": blob}
        if path.endswith(LARGE):
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        entries.append(entry)
    return entries
