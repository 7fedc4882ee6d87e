"""The double as a server on the loopback interface, in a thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub import pull_requests, reading, uploads, writing
from podcast_assets_tests.doubles.hub.access import FAULT, HUB
from podcast_assets_tests.doubles.hub.faults import Fault
from podcast_assets_tests.doubles.hub.repos import Blobs, Repo


@dataclass
class Request:
    """A request that has arrived."""

    method: str
    path: str
    range: str | None
    bytes: int
    """Size of its body."""
    status: int | None = None
    """Status of the answer; None as long as there is none."""


@dataclass
class HubDouble:
    """A double of the Hub, and what a test may inspect and change while it runs."""

    root: Path
    xet: bool = False
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    """Tokens whose owners have accepted the terms of gated repositories."""
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.root / "blobs")
        self.cas = self.root / "cas"
        self.cas.mkdir(parents=True, exist_ok=True)

    def fault(self, method: str, text: str, status: int = 500, **options: Any) -> Fault:
        """Add a fault for the next requests that match: see `Fault`."""
        self.faults.append(Fault(method, text, status, **options))
        return self.faults[-1]

    def commit_model(self, name: str, files: Mapping[str, bytes], *, gated: bool = False) -> str:
        """Commit the files of a model, which is created if it does not exist; returns the commit."""
        repo = self.repos.setdefault(name, Repo("models", licence="mit", gated="auto" if gated else False))
        return repo.commit("main", "commit", {path: self.blobs.add(path, data) for path, data in files.items()})

    def downloads(self, name: str) -> list[Request]:
        """The requests for the content of a file."""
        return [r for r in self.requests if r.method == "GET" and r.path.endswith(f"/{name}")]

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository, without `.gitattributes`."""
        found = self.repos[repo]
        tree = found.commits[str(found.resolve(revision))].tree
        return {p: self.blobs.path(e.sha256).read_bytes() for p, e in sorted(tree.items()) if p != ".gitattributes"}

    def uploaded(self) -> int:
        """Bytes uploaded so far, by LFS, by Xet or in commits."""
        bodies = sum(r.bytes for r in self.requests if "/_lfs/" in r.path or "/commit/" in r.path)
        return bodies + sum(p.stat().st_size for p in self.cas.rglob("*") if p.is_file() and p.suffix != ".redb")

    def commits(self, repo: str) -> list[str]:
        """Titles of the commits on main, latest first, without the one that created the repository."""
        return self.repos[repo].history()[:-1]


@contextmanager
def running_hub(root: Path, *, xet: bool = False) -> Iterator[HubDouble]:
    """Run a double on a free port. It keeps its contents in `root`."""
    hub = HubDouble(root, xet)
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(_app(hub), handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(30):
        raise RuntimeError("the double of the Hub has not started")
    try:
        yield hub
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _app(hub: HubDouble) -> web.Application:
    @web.middleware
    async def record_and_disturb(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = unquote(request.path)
        record = Request(request.method, path, request.headers.get("Range"), request.content_length or 0)
        hub.requests.append(record)
        fault = next((f for f in hub.faults if f.matches(request.method, path)), None)
        status = 500
        try:
            if fault is None:
                response = await handler(request)
            elif fault.spoils_content:
                request[FAULT] = fault
                response = await handler(request)
            else:
                if fault.applied:
                    await handler(request)
                response = await fault.respond()
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            record.status = status

    app = web.Application(middlewares=[record_and_disturb], client_max_size=1 << 31)
    app[HUB] = hub
    for module in (reading, uploads, writing, pull_requests):
        app.add_routes(module.routes)
    return app
