"""Handlers that change repositories: create, commit, tag, and remove large files from the history."""

import asyncio
import base64
import json
from urllib.parse import unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub import xet
from podcast_assets_tests.doubles.hub.access import API, HUB, USER, error, find_commit, find_repo, is_user
from podcast_assets_tests.doubles.hub.repos import Repo

routes = web.RouteTableDef()


@routes.get("/api/whoami-v2")
async def whoami(request: web.Request) -> web.Response:
    if not is_user(request):
        return error(401, "", "Invalid token")
    return web.json_response({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": {}})


@routes.post("/api/validate-yaml")
async def validate_yaml(request: web.Request) -> web.Response:
    return web.json_response({"errors": [], "warnings": []})


@routes.post("/api/repos/create")
async def create(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    if not is_user(request):
        return error(401, "", "Invalid username or password.")
    body = await request.json()
    name = f"{body.get('organization') or USER}/{body['name']}"
    url = f"{hub.url}/datasets/{name}"
    if name in hub.repos:
        return web.json_response({"error": "You already created this repo", "url": url}, status=409)
    repo = hub.repos[name] = Repo("datasets")
    repo.private = bool(body.get("private")) or body.get("visibility") == "private"
    repo.commit("main", "initial commit", {".gitattributes": hub.blobs.add_regular(b"*.tar filter=lfs\n")})
    return web.json_response({"url": url, "name": name, "id": f"datasets/{name}"})


@routes.put(f"{API}/settings")
async def settings(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    body = await request.json()
    repo.gated = body.get("gated", repo.gated)
    return web.json_response({})


@routes.post(f"{API}/commit/{{rev}}")
async def commit(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    name, _ = find_repo(request, write=True)
    repo, head, before = find_commit(request, write=True)
    tree, title = dict(before), ""
    for line in (await request.read()).splitlines():
        key, value = (record := json.loads(line))["key"], record["value"]
        if key == "header":
            title = value["summary"]
            if value.get("parentCommit") not in (None, head):
                return error(412, "", "A commit has happened since. Please refresh and try again.")
        elif key == "file":
            tree[value["path"]] = hub.blobs.add_regular(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            place = hub.blobs.path(value["oid"])
            if not place.exists() and not await asyncio.to_thread(xet.take, hub.cas, value["oid"], place):
                return error(400, "", f"LFS pointer pointed to a file that does not exist: {value['path']}")
            tree[value["path"]] = hub.blobs.large_entry(value["oid"])
        elif value["path"] in tree:
            del tree[value["path"]]
        else:
            return error(404, "EntryNotFound", "A file with this name doesn't exist")
    if repo.refs.get(unquote(request.match_info["rev"])) != head:
        return error(412, "", "A commit has happened since. Please refresh and try again.")
    sha = repo.commit(unquote(request.match_info["rev"]), title, tree)
    url = f"{hub.url}/datasets/{name}/commit/{sha}"
    return web.json_response({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": ""})


@routes.post(f"{API}/tag/{{rev}}")
async def tag(request: web.Request) -> web.Response:
    repo, sha, _ = find_commit(request, write=True)
    name = (await request.json())["tag"]
    if name in repo.tags:
        return error(409, "", f"Reference already exists: {name}")
    repo.tags[name] = sha
    return web.json_response({})


@routes.post(f"{API}/lfs-files/batch")
async def lfs_delete(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    deletions = (await request.json())["deletions"]
    gone = set(deletions["sha"])
    if deletions["rewriteHistory"]:
        repo.forget(gone)
    for oid in gone:
        request.app[HUB].blobs.path(oid).unlink(missing_ok=True)
    return web.json_response({})
