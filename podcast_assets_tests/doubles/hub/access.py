"""Users, repositories and revisions: what every handler looks up first."""

from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from podcast_assets_tests.doubles.hub.faults import Fault
from podcast_assets_tests.doubles.hub.repos import Entry, Repo

if TYPE_CHECKING:
    from podcast_assets_tests.doubles.hub.server import HubDouble

TOKEN = "hf_test"
"""Token of the one user who may write."""
USER = "tester"
HUB: "web.AppKey[HubDouble]" = web.AppKey("hub")
FAULT = web.RequestKey("fault", Fault)
"""Set on a request whose file is to be sent badly."""
API = "/api/{kind:models|datasets}/{ns}/{name}"
"""Address of a repository in the API."""


def error(status: int, code: str, message: str) -> web.Response:
    """An error as the Hub answers it: the client reads its headers."""
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    return web.json_response({"error": message}, status=status, headers=headers)


def token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def is_user(request: web.Request) -> bool:
    """Whether the request comes from the user who may write."""
    return token(request) == TOKEN


def find_repo(request: web.Request, *, write: bool = False) -> tuple[str, Repo]:
    """Name and repository of a request.

    Raises:
        web.HTTPError: there is none, or the user may not read it, or not write to it.
    """
    name = f"{request.match_info['ns']}/{request.match_info['name'].removesuffix('.git')}"
    repo = request.app[HUB].repos.get(name)
    if repo is None or repo.kind != request.match_info.get("kind", "models") or (repo.private and not is_user(request)):
        # the Hub does not say whether a repository is private or does not exist
        missing = web.HTTPNotFound if token(request) else web.HTTPUnauthorized
        raise _refusal(missing, "RepoNotFound", "Repository not found")
    if write and not is_user(request):
        raise _refusal(web.HTTPForbidden, "", "You may not write here")
    return name, repo


def find_commit(request: web.Request, *, write: bool = False) -> tuple[Repo, str, dict[str, Entry]]:
    """Repository, commit and files of a request.

    Raises:
        web.HTTPError: as `find_repo`, or there is no such revision.
    """
    _, repo = find_repo(request, write=write)
    revision = unquote(request.match_info.get("rev", "main"))
    sha = repo.resolve(revision)
    if sha is None:
        raise _refusal(web.HTTPNotFound, "RevisionNotFound", f"Invalid rev id: {revision}")
    return repo, sha, repo.commits[sha].tree


def check_terms(request: web.Request, repo: Repo) -> None:
    """Refuse the files of a gated repository to users who have not accepted its terms.

    Raises:
        web.HTTPError: the user has not.
    """
    if repo.gated and token(request) not in (TOKEN, *request.app[HUB].readers):
        refused = web.HTTPForbidden if token(request) else web.HTTPUnauthorized
        raise _refusal(refused, "GatedRepo", "Access to this repository is restricted.")


def _refusal(kind: type[web.HTTPError], code: str, message: str) -> web.HTTPError:
    return kind(headers={"X-Error-Code": code, "X-Error-Message": message}, text="{}")
