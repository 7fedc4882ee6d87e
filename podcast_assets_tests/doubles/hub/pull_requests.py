"""Handlers for pull requests, which the Hub calls discussions."""

from typing import Any

from aiohttp import web

from podcast_assets_tests.doubles.hub.access import API, USER, error, find_repo
from podcast_assets_tests.doubles.hub.repos import PullRequest

routes = web.RouteTableDef()


@routes.get(f"{API}/discussions")
async def discussions(request: web.Request) -> web.Response:
    name, repo = find_repo(request)
    found = [_shown(name, r) for r in repo.pull_requests.values()]
    return web.json_response({"count": len(found), "start": 0, "discussions": found})


@routes.post(f"{API}/discussions")
async def discuss(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    return web.json_response({"num": repo.propose((await request.json())["title"], USER)})


@routes.get(f"{API}/discussions/{{num}}")
async def discussion(request: web.Request) -> web.Response:
    name, repo = find_repo(request)
    return web.json_response(_shown(name, repo.pull_requests[int(request.match_info["num"])]))


@routes.post(f"{API}/discussions/{{num}}/status")
async def status(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    found = repo.pull_requests[int(request.match_info["num"])]
    found.status = (await request.json())["status"]
    event = {"id": "0", "type": "status-change", "createdAt": "2026-01-01T00:00:00.000Z", "author": {"name": USER}}
    return web.json_response({"newStatus": event | {"data": {"status": found.status}}})


@routes.post(f"{API}/discussions/{{num}}/merge")
async def merge(request: web.Request) -> web.Response:
    _, repo = find_repo(request, write=True)
    number = int(request.match_info["num"])
    if repo.pull_requests[number].status != "open":
        return error(403, "", "This pull request is not open")
    if not repo.merge(number):
        return error(409, "", "There are conflicts")
    return web.json_response({})


def _shown(name: str, request: PullRequest) -> dict[str, Any]:
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
