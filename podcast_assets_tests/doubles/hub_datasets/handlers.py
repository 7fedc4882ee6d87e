"""What the double answers, one method per address."""

import asyncio
import base64
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub_datasets import xet
from podcast_assets_tests.doubles.hub_datasets.repos import Entry, PullRequest, Repo, is_large

if TYPE_CHECKING:
    from podcast_assets_tests.doubles.hub_datasets.server import DatasetHub

TOKEN = "hf_test"
"""Of the one user who may write."""
USER = "tester"
PART_BYTES = 1 << 20
"""Larger files are uploaded in parts."""
PAGE = 1000


def _refused(status: int, code: str, message: str) -> web.Response:
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    return web.json_response({"error": message}, status=status, headers=headers)


class Handlers:
    """One method per address."""

    def __init__(self, hub: "DatasetHub") -> None:
        self.hub = hub

    # -- who and what ----------------------------------------------------------------------------------------------

    def _user(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _repo(self, request: web.Request, *, write: bool = False) -> tuple[str, Repo]:
        name = f"{request.match_info['ns']}/{request.match_info['name'].removesuffix('.git')}"
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self._user(request)):
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"}, text="{}")
        if write and not self._user(request):
            raise web.HTTPForbidden(headers={"X-Error-Message": "You may not write here"}, text="{}")
        return name, repo

    def _at(self, request: web.Request, *, write: bool = False) -> tuple[Repo, str, dict[str, Entry]]:
        _, repo = self._repo(request, write=write)
        sha = repo.resolve(unquote(request.match_info.get("rev", "main")))
        if sha is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"}, text="{}")
        return repo, sha, repo.commits[sha].tree

    async def whoami(self, request: web.Request) -> web.Response:
        if not self._user(request):
            return _refused(401, "", "Invalid token")
        return web.json_response({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": {}})

    async def validate_yaml(self, request: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def create(self, request: web.Request) -> web.Response:
        if not self._user(request):
            return _refused(401, "", "Invalid username or password.")
        body = await request.json()
        name = f"{body.get('organization') or USER}/{body['name']}"
        url = f"{self.hub.url}/datasets/{name}"
        if name in self.hub.repos:
            return web.json_response({"error": "You already created this repo", "url": url}, status=409)
        repo = self.hub.repos[name] = Repo(private=bool(body.get("private")) or body.get("visibility") == "private")
        repo.commit("main", "initial commit", {".gitattributes": self.hub.blobs.regular(b"*.tar filter=lfs\n")})
        return web.json_response({"url": url, "name": name, "id": f"datasets/{name}"})

    async def settings(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        body = await request.json()
        repo.gated = body.get("gated", repo.gated)
        return web.json_response({})

    # -- reading ---------------------------------------------------------------------------------------------------

    async def info(self, request: web.Request) -> web.Response:
        name, _ = self._repo(request)
        repo, sha, tree = self._at(request)
        return web.json_response(
            {
                "_id": "0",
                "id": name,
                "sha": sha,
                "private": repo.private,
                "gated": repo.gated,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "lastModified": repo.commits[sha].date,
                "createdAt": repo.commits[sha].date,
                "siblings": [{"rfilename": path} for path in sorted(tree)],
            }
        )

    async def tree(self, request: web.Request) -> web.Response:
        _, sha, tree = self._at(request)
        folder = request.match_info.get("path", "").strip("/")
        recursive = request.query.get("recursive", "").lower() in ("1", "true")
        found: list[dict[str, Any]] = []
        folders: set[str] = set()
        for path, entry in sorted(tree.items()):
            if folder and not path.startswith(f"{folder}/"):
                continue
            rest = path.removeprefix(f"{folder}/" if folder else "").split("/")
            for depth in range(1, len(rest) if recursive else min(2, len(rest))):
                name = "/".join(([folder] if folder else []) + rest[:depth])
                if name not in folders:
                    folders.add(name)
                    oid = hashlib.sha1(name.encode()).hexdigest()
                    found.append({"type": "directory", "path": name, "oid": oid, "size": 0})
            if recursive or len(rest) == 1:
                found.append(_shown(path, entry))
        if not found and folder:
            return _refused(404, "EntryNotFound", f"{folder} does not exist")
        start = int(request.query.get("cursor", 0))
        headers = {"X-Repo-Commit": sha}
        if start + PAGE < len(found):
            query = "&".join(
                f"{k}={quote(v)}" for k, v in (dict(request.query) | {"cursor": str(start + PAGE)}).items()
            )
            headers["Link"] = f'<{self.hub.url}{request.path}?{query}>; rel="next"'
        return web.json_response(found[start : start + PAGE], headers=headers)

    async def paths_info(self, request: web.Request) -> web.Response:
        _, _, tree = self._at(request)
        body = await (request.json() if request.content_type == "application/json" else request.post())
        paths = map(str, body["paths"] if isinstance(body, dict) else body.getall("paths"))
        return web.json_response([_shown(p, tree[p]) for p in paths if p in tree])

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        _, sha, tree = self._at(request)
        entry = tree.get(unquote(request.match_info["path"]))
        if entry is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        etag = entry.sha256 if entry.lfs else entry.oid
        headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
        if entry.lfs:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(entry.size)}
        return web.FileResponse(self.hub.blobs.path(entry.sha256), headers=headers)

    async def refs(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request)

        def ref(name: str, sha: str, kind: str) -> dict[str, str]:
            return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}

        branches = [ref(n, s, "heads") for n, s in repo.refs.items() if "/" not in n]
        tags = [ref(n, s, "tags") for n, s in repo.tags.items()]
        return web.json_response({"branches": branches, "tags": tags, "converts": []})

    async def commits(self, request: web.Request) -> web.Response:
        repo, sha, _ = self._at(request)
        found, at = [], sha
        while at:
            commit = repo.commits[at]
            found.append({"id": at, "title": commit.title, "message": "", "authors": [], "date": commit.date})
            at = commit.parent or ""
        return web.json_response(found)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def preupload(self, request: web.Request) -> web.Response:
        _, _, tree = self._at(request, write=True)
        found = []
        for file in (await request.json())["files"]:
            entry = tree.get(file["path"])
            found.append(
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_large(file["path"], file["size"]) else "regular",
                    "shouldIgnore": False,
                    "oid": (entry.sha256 if entry.lfs else entry.oid) if entry else None,
                }
            )
        return web.json_response({"files": found})

    async def lfs_batch(self, request: web.Request) -> web.Response:
        self._repo(request, write=True)
        body, found = await request.json(), []
        for wanted in body["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            answer: dict[str, Any] = {"oid": oid, "size": size}
            if not self.hub.blobs.path(oid).exists():
                upload: dict[str, Any] = {"href": f"{self.hub.url}/_lfs/put/{oid}?X-Signature=secret"}
                if size > PART_BYTES and "multipart" in body.get("transfers", []):
                    parts = {
                        str(i + 1): f"{self.hub.url}/_lfs/part/{oid}/{i + 1}" for i in range(-(-size // PART_BYTES))
                    }
                    upload = {
                        "href": f"{self.hub.url}/_lfs/complete/{oid}",
                        "header": {"chunk_size": str(PART_BYTES)} | parts,
                    }
                answer["actions"] = {"upload": upload, "verify": {"href": f"{self.hub.url}/_lfs/verify"}}
            found.append(answer)
        content = "application/vnd.git-lfs+json"
        return web.json_response({"transfer": "basic", "objects": found}, content_type=content)

    async def _received(self, request: web.Request, place: Path) -> str:
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            async for block in request.content.iter_chunked(1 << 20):
                digest.update(block)
                file.write(block)
        Path(file.name).replace(place)
        return digest.hexdigest()

    async def lfs_put(self, request: web.Request) -> web.Response:
        oid = request.match_info["oid"]
        fresh = self.hub.blobs.path(f"{oid}.up")
        if await self._received(request, fresh) != oid:
            return web.Response(status=400, text="sha256 mismatch")
        fresh.replace(self.hub.blobs.path(oid))
        return web.Response()

    async def lfs_part(self, request: web.Request) -> web.Response:
        oid, number = request.match_info["oid"], int(request.match_info["n"])
        digest = await self._received(request, self.hub.blobs.path(f"{oid}.part{number:05d}"))
        return web.Response(headers={"ETag": f'"{digest[:32]}"'})

    async def lfs_complete(self, request: web.Request) -> web.Response:
        oid = request.match_info["oid"]
        parts = sorted((await request.json())["parts"], key=lambda p: p["partNumber"])
        data = b"".join(self.hub.blobs.path(f"{oid}.part{p['partNumber']:05d}").read_bytes() for p in parts)
        if hashlib.sha256(data).hexdigest() != oid:
            return web.Response(status=400, text="sha256 mismatch")
        self.hub.blobs.put(data)
        return web.json_response({"success": True})

    async def lfs_verify(self, request: web.Request) -> web.Response:
        body = await request.json()
        place = self.hub.blobs.path(body["oid"])
        good = place.exists() and place.stat().st_size == body["size"]
        return web.json_response({}, status=200 if good else 404)

    async def xet_token(self, request: web.Request) -> web.Response:
        self._repo(request, write=request.match_info["kind"] == "write")
        if not self.hub.xet:
            return _refused(404, "", "no Xet here")
        # a store per token: its index admits one process at a time
        folder = (self.hub.cas / str(time.time_ns())).resolve()
        folder.mkdir()
        expires, cas = int(time.time()) + 3600, f"local://{folder}"
        return web.json_response(
            {"casUrl": cas, "exp": expires, "accessToken": "xet"},
            headers={"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(expires)},
        )

    async def commit(self, request: web.Request) -> web.Response:
        name, _ = self._repo(request, write=True)
        repo, head, before = self._at(request, write=True)
        tree, title = dict(before), ""
        for line in (await request.read()).splitlines():
            key, value = (record := json.loads(line))["key"], record["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit") not in (None, head):
                    return _refused(412, "", "A commit has happened since. Please refresh and try again.")
            elif key == "file":
                tree[value["path"]] = self.hub.blobs.regular(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                place = self.hub.blobs.path(value["oid"])
                if not place.exists() and not await asyncio.to_thread(xet.take, self.hub.cas, value["oid"], place):
                    return _refused(400, "", f"LFS pointer pointed to a file that does not exist: {value['path']}")
                tree[value["path"]] = self.hub.blobs.large(value["oid"])
            elif value["path"] in tree:
                del tree[value["path"]]
            else:
                return _refused(404, "EntryNotFound", "A file with this name doesn't exist")
        if repo.refs.get(unquote(request.match_info["rev"])) != head:
            return _refused(412, "", "A commit has happened since. Please refresh and try again.")
        sha = repo.commit(unquote(request.match_info["rev"]), title, tree)
        url = f"{self.hub.url}/datasets/{name}/commit/{sha}"
        return web.json_response({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})

    async def tag(self, request: web.Request) -> web.Response:
        repo, sha, _ = self._at(request, write=True)
        name = (await request.json())["tag"]
        if name in repo.tags:
            return _refused(409, "", f"Reference already exists: {name}")
        repo.tags[name] = sha
        return web.json_response({})

    # -- pull requests ---------------------------------------------------------------------------------------------

    def _told(self, name: str, request: PullRequest) -> dict[str, Any]:
        return {
            "num": request.number,
            "title": request.title,
            "status": request.status,
            "isPullRequest": True,
            "author": {"name": request.author},
            "createdAt": "2026-01-01T00:00:00.000Z",
            "repo": {"name": name, "type": "dataset"},
            "events": [],
            "changes": {"base": "refs/heads/main"},
            "filesWithConflicts": [],
        }

    async def discussions(self, request: web.Request) -> web.Response:
        name, repo = self._repo(request)
        found = [self._told(name, r) for r in repo.pull_requests.values()]
        return web.json_response({"count": len(found), "start": 0, "discussions": found})

    async def discuss(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        return web.json_response({"num": repo.propose((await request.json())["title"], USER)})

    async def discussion(self, request: web.Request) -> web.Response:
        name, repo = self._repo(request)
        return web.json_response(self._told(name, repo.pull_requests[int(request.match_info["num"])]))

    async def status(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        found = repo.pull_requests[int(request.match_info["num"])]
        found.status = (await request.json())["status"]
        event = {"id": "0", "type": "status-change", "createdAt": "2026-01-01T00:00:00.000Z", "author": {"name": USER}}
        return web.json_response({"newStatus": event | {"data": {"status": found.status}}})

    async def merge(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        number = int(request.match_info["num"])
        if repo.pull_requests[number].status != "open":
            return _refused(403, "", "This pull request is not open")
        if not repo.merge(number):
            return _refused(409, "", "There are conflicts")
        return web.json_response({})

    # -- history of large files ------------------------------------------------------------------------------------

    async def lfs_files(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        found = {(p, e.sha256): e for c in repo.commits.values() for p, e in c.tree.items() if e.lfs}
        return web.json_response(
            [
                {
                    "fileOid": sha256,
                    "filename": path,
                    "oid": sha256,
                    "pushedAt": "2026-01-01T00:00:00.000Z",
                    "ref": None,
                    "size": entry.size,
                }
                for (path, sha256), entry in found.items()
            ]
        )

    async def lfs_delete(self, request: web.Request) -> web.Response:
        _, repo = self._repo(request, write=True)
        deletions = (await request.json())["deletions"]
        gone = set(deletions["sha"])
        if deletions["rewriteHistory"]:
            repo.forget(gone)
        for oid in gone:
            self.hub.blobs.path(oid).unlink(missing_ok=True)
        return web.json_response({})


def _shown(path: str, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid}
    if entry.lfs:
        found["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": 134}
    return found
