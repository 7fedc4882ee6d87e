"""Handlers that read: information, listings, downloads and history of a repository."""

import asyncio
import hashlib
import re
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub.access import API, FAULT, HUB, check_terms, error, find_commit, find_repo
from podcast_assets_tests.doubles.hub.faults import FOREVER, Fault
from podcast_assets_tests.doubles.hub.repos import Entry

PAGE = 1000
"""Entries of a listing that are sent at once."""
routes = web.RouteTableDef()


@routes.get(API)
@routes.get(f"{API}/revision/{{rev}}")
async def info(request: web.Request) -> web.Response:
    name, _ = find_repo(request)
    repo, sha, tree = find_commit(request)
    siblings = [{"rfilename": path} for path in sorted(tree)]
    if "blobs" in request.query:
        for sibling in siblings:
            shown = _shown(sibling["rfilename"], tree[sibling["rfilename"]])
            sibling |= {"blobId" if key == "oid" else key: shown[key] for key in ("size", "oid", "lfs") if key in shown}
    return web.json_response(
        {
            "_id": "0",
            "id": name,
            "sha": sha,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": False,
            "cardData": {"license": repo.licence} if repo.licence else None,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "lastModified": repo.commits[sha].date,
            "createdAt": repo.commits[sha].date,
            "siblings": siblings,
        }
    )


@routes.get(f"{API}/tree/{{rev}}")
@routes.get(f"{API}/tree/{{rev}}/{{path:.*}}")
async def tree(request: web.Request) -> web.Response:
    _, sha, tree = find_commit(request)
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
        return error(404, "EntryNotFound", f"{folder} does not exist")
    return _page(request, found, {"X-Repo-Commit": sha})


@routes.post(f"{API}/paths-info/{{rev}}")
async def paths_info(request: web.Request) -> web.Response:
    _, _, tree = find_commit(request)
    body = await (request.json() if request.content_type == "application/json" else request.post())
    paths = map(str, body["paths"] if isinstance(body, dict) else body.getall("paths"))
    return web.json_response([_shown(p, tree[p]) for p in paths if p in tree])


@routes.get("/{ns}/{name}/resolve/{rev}/{path:.*}")
@routes.get("/{kind:datasets}/{ns}/{name}/resolve/{rev}/{path:.*}")
async def resolve(request: web.Request) -> web.StreamResponse:
    repo, sha, tree = find_commit(request)
    check_terms(request, repo)
    entry = tree.get(unquote(request.match_info["path"]))
    if entry is None:
        return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
    etag = entry.sha256 if entry.lfs else entry.oid
    headers = {"X-Repo-Commit": sha, "ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
    if entry.lfs:
        headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(entry.size)}
    content = request.app[HUB].blobs.path(entry.sha256).read_bytes()
    return await _send(request, content, headers, request.get(FAULT))


async def _send(
    request: web.Request, content: bytes, headers: dict[str, str], fault: Fault | None
) -> web.StreamResponse:
    """Send a file or the range of it that is asked for."""
    headers["Accept-Ranges"] = "bytes"
    total = len(content)
    if fault is not None and fault.damage:
        content = bytes([content[0] ^ 1]) + content[1:]
    if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
        start = int(asked[1])
        content = content[start : int(asked[2]) + 1 if asked[2] else None]
        headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{total}"
    status = 206 if asked else 200
    if fault is None or fault.cut is None or request.method == "HEAD":
        return web.Response(status=status, body=content, headers=headers)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = len(content)
    await response.prepare(request)
    await response.write(content[: fault.cut])
    fault.reached.set()
    if fault.hold:
        await asyncio.sleep(FOREVER)
    if request.transport is not None:
        request.transport.close()
    return response


@routes.get(f"{API}/refs")
async def refs(request: web.Request) -> web.Response:
    _, repo = find_repo(request)

    def ref(name: str, sha: str, kind: str) -> dict[str, str]:
        return {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}

    branches = [ref(n, s, "heads") for n, s in repo.refs.items() if "/" not in n]
    tags = [ref(n, s, "tags") for n, s in repo.tags.items()]
    return web.json_response({"branches": branches, "tags": tags, "converts": []})


@routes.get(f"{API}/commits/{{rev}}")
async def commits(request: web.Request) -> web.Response:
    repo, sha, _ = find_commit(request)
    found, at = [], sha
    while at:
        commit = repo.commits[at]
        found.append({"id": at, "title": commit.title, "message": "", "authors": [], "date": commit.date})
        at = commit.parent or ""
    return web.json_response(found)


@routes.get(f"{API}/lfs-files")
async def lfs_files(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    found = {(p, e.sha256): e for c in repo.commits.values() for p, e in c.tree.items() if e.lfs}
    listed = [
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
    return _page(request, listed, {})


def _page(request: web.Request, entries: list[dict[str, Any]], headers: dict[str, str]) -> web.Response:
    """Answer with the page of a listing that is asked for, and a link to the next one."""
    start = int(request.query.get("cursor", 0))
    if start + PAGE < len(entries):
        query = "&".join(f"{k}={quote(v)}" for k, v in (dict(request.query) | {"cursor": str(start + PAGE)}).items())
        headers["Link"] = f'<{request.app[HUB].url}{request.path}?{query}>; rel="next"'
    return web.json_response(entries[start : start + PAGE], headers=headers)


def _shown(path: str, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid}
    if entry.lfs:
        found["lfs"] = {"oid": entry.sha256, "sha256": entry.sha256, "size": entry.size, "pointerSize": 134}
    return found
