"""Handlers for uploads of large files, by LFS and by Xet."""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from podcast_assets_tests.doubles.hub.access import API, HUB, error, find_commit, find_repo
from podcast_assets_tests.doubles.hub.repos import is_large

PART_BYTES = 1 << 20
"""Larger files are uploaded in parts."""
routes = web.RouteTableDef()


@routes.post(f"{API}/preupload/{{rev}}")
async def preupload(request: web.Request) -> web.Response:
    _, _, tree = find_commit(request, write=True)
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


@routes.post("/{kind:datasets}/{ns}/{name}.git/info/lfs/objects/batch")
async def lfs_batch(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    find_repo(request, write=True)
    body, found = await request.json(), []
    for pointer in body["objects"]:
        oid, size = pointer["oid"], pointer["size"]
        answer: dict[str, Any] = {"oid": oid, "size": size}
        if not hub.blobs.path(oid).exists():
            upload: dict[str, Any] = {"href": f"{hub.url}/_lfs/put/{oid}?X-Signature=secret"}
            if size > PART_BYTES and "multipart" in body.get("transfers", []):
                parts = {str(i + 1): f"{hub.url}/_lfs/part/{oid}/{i + 1}" for i in range(-(-size // PART_BYTES))}
                upload = {
                    "href": f"{hub.url}/_lfs/complete/{oid}",
                    "header": {"chunk_size": str(PART_BYTES)} | parts,
                }
            answer["actions"] = {"upload": upload, "verify": {"href": f"{hub.url}/_lfs/verify"}}
        found.append(answer)
    content = "application/vnd.git-lfs+json"
    return web.json_response({"transfer": "basic", "objects": found}, content_type=content)


@routes.put("/_lfs/put/{oid}")
async def lfs_put(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    oid = request.match_info["oid"]
    fresh = hub.blobs.path(f"{oid}.up")
    if await _receive(request, fresh) != oid:
        return web.Response(status=400, text="sha256 mismatch")
    fresh.replace(hub.blobs.path(oid))
    return web.Response()


@routes.put("/_lfs/part/{oid}/{n}")
async def lfs_part(request: web.Request) -> web.Response:
    oid, number = request.match_info["oid"], int(request.match_info["n"])
    digest = await _receive(request, request.app[HUB].blobs.path(f"{oid}.part{number:05d}"))
    return web.Response(headers={"ETag": f'"{digest[:32]}"'})


@routes.post("/_lfs/complete/{oid}")
async def lfs_complete(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    oid = request.match_info["oid"]
    parts = sorted((await request.json())["parts"], key=lambda p: p["partNumber"])
    data = b"".join(hub.blobs.path(f"{oid}.part{p['partNumber']:05d}").read_bytes() for p in parts)
    if hashlib.sha256(data).hexdigest() != oid:
        return web.Response(status=400, text="sha256 mismatch")
    hub.blobs.put(data)
    return web.json_response({"success": True})


@routes.post("/_lfs/verify")
async def lfs_verify(request: web.Request) -> web.Response:
    body = await request.json()
    place = request.app[HUB].blobs.path(body["oid"])
    good = place.exists() and place.stat().st_size == body["size"]
    return web.json_response({}, status=200 if good else 404)


@routes.get(f"{API}/xet-{{mode:read|write}}-token/{{rev}}")
async def xet_token(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    find_repo(request, write=request.match_info["mode"] == "write")
    if not hub.xet:
        return error(404, "", "no Xet here")
    # a store per token: its index admits one process at a time
    folder = (hub.cas / str(time.time_ns())).resolve()
    folder.mkdir()
    expires, cas = int(time.time()) + 3600, f"local://{folder}"
    return web.json_response(
        {"casUrl": cas, "exp": expires, "accessToken": "xet"},
        headers={"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(expires)},
    )


async def _receive(request: web.Request, place: Path) -> str:
    """Write the body of a request to a file; returns its SHA-256."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        async for block in request.content.iter_chunked(1 << 20):
            digest.update(block)
            file.write(block)
    Path(file.name).replace(place)
    return digest.hexdigest()
