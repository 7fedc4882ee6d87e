"""The interface as an application of its own, which the review page's mounts at `/api`."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse

from podcast_assets.review.api.docs_page import add_docs
from podcast_assets.review.api.errors import add_error_answers
from podcast_assets.review.api.middleware import ApiHeaders, BodyLimit
from podcast_assets.review.api.models import Problem
from podcast_assets.review.api.routes import batches, failures, search, submissions
from podcast_assets.review.api.services import ApiServices, refuse_unknown_parameters
from podcast_assets.review.api.worker import background

_REFUSALS = {
    400: "The body cannot be read.",
    401: "There is no token, or it is not valid.",
    403: "The token is not of the scope that is needed.",
    404: "What was asked for does not exist.",
    409: "The request contradicts the state of things.",
    413: "The body is too large.",
    422: "The request is not valid.",
    429: "Too many requests: the header Retry-After says when to try again.",
    503: "The catalog or the store does not answer now.",
}
_ABOUT = """Submit episodes, ask what became of them, and read transcripts, segments, failures and statistics.

Every request needs a token: `Authorization: Bearer pat_…`. `podcast-assets token add NAME --scope submit` makes one."""


def create_api(services: ApiServices) -> FastAPI:
    """Make the interface. Whoever mounts it lets `api_background` run beside it."""
    api = FastAPI(
        title="podcast-assets",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(refuse_unknown_parameters)],
        responses={status: {"model": Problem, "description": text} for status, text in _REFUSALS.items()},
    )
    api.state.services = services
    for routes in (submissions, batches, search, failures):
        api.include_router(routes.router)
    add_docs(api)
    add_error_answers(api)
    api.add_middleware(BodyLimit)
    api.add_middleware(ApiHeaders)
    return api


def mount_api(app: FastAPI, services: ApiServices) -> None:
    """Mount the interface at `/api`, and let `/docs` lead to its documentation."""
    app.mount("/api", create_api(services))

    @app.get("/docs", include_in_schema=False)
    def docs() -> RedirectResponse:
        return RedirectResponse("/api/docs")


@contextlib.contextmanager
def api_background(services: ApiServices) -> Iterator[None]:
    """Gather submissions and send callbacks while the block runs.

    Raises:
        Misconfigured: the key that the secrets of callbacks are derived from cannot be read.
    """
    with background(services.settings, services.store):
        yield


def create_api_app(services: ApiServices) -> FastAPI:
    """Make an application of the interface alone, without the review page."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with api_background(services):
            yield

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    mount_api(app, services)
    return app
