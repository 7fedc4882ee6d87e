"""The double as a server on the loopback, in a thread."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub_datasets.faults import Fault
from podcast_assets_tests.doubles.hub_datasets.handlers import Handlers
from podcast_assets_tests.doubles.hub_datasets.repos import Blobs, Repo


@dataclass(frozen=True)
class Request:
    """A request that was answered."""

    method: str
    path: str
    status: int
    bytes: int
    """Of its body."""


@dataclass
class DatasetHub:
    """The double, and what a test may look at and change while it runs."""

    root: Path
    xet: bool = False
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.blobs = Blobs(self.root / "blobs")
        self.cas = self.root / "cas"
        self.cas.mkdir(parents=True, exist_ok=True)

    def fault(self, method: str, text: str, status: int = 500, **how: Any) -> Fault:
        """Make something happen to the next requests."""
        self.faults.append(Fault(method, text, status, **how))
        return self.faults[-1]

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a dataset, but for git's own."""
        found = self.repos[repo]
        tree = found.commits[str(found.resolve(revision))].tree
        return {p: self.blobs.path(e.sha256).read_bytes() for p, e in sorted(tree.items()) if p != ".gitattributes"}

    def uploaded(self) -> int:
        """Bytes that came so far, whether by LFS, by Xet or in commits."""
        bodies = sum(r.bytes for r in self.requests if "/_lfs/" in r.path or "/commit/" in r.path)
        return bodies + sum(p.stat().st_size for p in self.cas.rglob("*") if p.is_file() and p.suffix != ".redb")

    def commits(self, repo: str) -> list[str]:
        """Titles of the commits on main, the newest first, but for the one that made the repository."""
        return self.repos[repo].history()[:-1]


@contextmanager
def running_dataset_hub(root: Path, *, xet: bool = False) -> Iterator[DatasetHub]:
    """A double that listens on a free port."""
    hub = DatasetHub(root, xet)
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
        raise RuntimeError("the double of the hub does not come up")
    try:
        yield hub
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _app(hub: DatasetHub) -> web.Application:
    app = web.Application(middlewares=[_Faulty(hub)], client_max_size=1 << 31)
    handlers = Handlers(hub)
    api = "/api/datasets/{ns}/{name}"
    lfs = "/datasets/{ns}/{name}"
    for method, path, handler in (
        ("GET", "/api/whoami-v2", handlers.whoami),
        ("POST", "/api/validate-yaml", handlers.validate_yaml),
        ("POST", "/api/repos/create", handlers.create),
        ("PUT", f"{api}/settings", handlers.settings),
        ("GET", api, handlers.info),
        ("GET", f"{api}/revision/{{rev}}", handlers.info),
        ("GET", f"{api}/tree/{{rev}}", handlers.tree),
        ("GET", f"{api}/tree/{{rev}}/{{path:.*}}", handlers.tree),
        ("POST", f"{api}/paths-info/{{rev}}", handlers.paths_info),
        ("POST", f"{api}/preupload/{{rev}}", handlers.preupload),
        ("GET", f"{api}/xet-{{kind}}-token/{{rev}}", handlers.xet_token),
        ("POST", f"{api}/commit/{{rev}}", handlers.commit),
        ("GET", f"{api}/refs", handlers.refs),
        ("POST", f"{api}/tag/{{rev}}", handlers.tag),
        ("GET", f"{api}/commits/{{rev}}", handlers.commits),
        ("GET", f"{api}/discussions", handlers.discussions),
        ("POST", f"{api}/discussions", handlers.discuss),
        ("GET", f"{api}/discussions/{{num}}", handlers.discussion),
        ("POST", f"{api}/discussions/{{num}}/status", handlers.status),
        ("POST", f"{api}/discussions/{{num}}/merge", handlers.merge),
        ("GET", f"{api}/lfs-files", handlers.lfs_files),
        ("POST", f"{api}/lfs-files/batch", handlers.lfs_delete),
        ("POST", f"{lfs}.git/info/lfs/objects/batch", handlers.lfs_batch),
        ("GET", f"{lfs}/resolve/{{rev}}/{{path:.*}}", handlers.resolve),
        ("PUT", "/_lfs/put/{oid}", handlers.lfs_put),
        ("PUT", "/_lfs/part/{oid}/{n}", handlers.lfs_part),
        ("POST", "/_lfs/complete/{oid}", handlers.lfs_complete),
        ("POST", "/_lfs/verify", handlers.lfs_verify),
    ):
        app.router.add_route(method, path, handler)
        if method == "GET":
            app.router.add_route("HEAD", path, handler)
    return app


def _Faulty(hub: DatasetHub) -> Any:  # noqa: N802 - it stands for a middleware
    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        path = unquote(request.path)
        fault = next((f for f in hub.faults if f.meets(request.method, path)), None)
        status = 500
        try:
            if fault is not None and not fault.applied:
                response = await _happens(fault)
            else:
                response = await handler(request)
                if fault is not None:
                    response = await _happens(fault)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            hub.requests.append(Request(request.method, path, status, request.content_length or 0))

    return middleware


async def _happens(fault: Fault) -> web.StreamResponse:
    fault.reached.set()
    if fault.hold:
        await asyncio.sleep(3600)
    return web.json_response({"error": "as the test says"}, status=fault.status, headers=dict(fault.headers))
