"""The application: routes, middleware and what runs beside them."""

import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from podcast_assets.catalog.connection import connect
from podcast_assets.catalog.migrate import check_version
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.groups.review import split_proxies
from podcast_assets.config.settings import Settings
from podcast_assets.review.api.application import api_background, mount_api
from podcast_assets.review.api.pipeline import Pipeline
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.app import pages
from podcast_assets.review.app.errors import add_error_pages
from podcast_assets.review.app.middleware import BodyLimit, SecurityHeaders, TrustedProxies
from podcast_assets.review.app.services import Services
from podcast_assets.review.queues import refresh_queues
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

REFRESH = 5.0
"""Seconds between looks for batches that were loaded since, whose items are queued then."""
_STATIC = Path(__file__).parent / "static"


def create_app(
    settings: Settings, engine: Engine | None = None, store: Store | None = None, pipeline: Pipeline | None = None
) -> FastAPI:
    """Make the application.

    Args:
        settings: its settings.
        engine: engine of the catalog; made from the settings if it is None.
        store: the store; opened as the settings say if it is None.
        pipeline: what the HTTP interface asks of the pipeline, and what retries failures; None: there is neither.

    Raises:
        Misconfigured: the catalog does not run, or its tables are of another version.
    """
    engine = engine or connect(settings)
    store = store or Store.at(settings.store, follow_links=settings.allow_links, access=settings.store_access)
    with engine.connect() as connection:
        check_version(connection)
    # its own pages of the interface would load scripts from other sites
    app = FastAPI(title="podcast-assets", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    app.state.services = Services(settings, engine, store, pipeline)
    app.state.api = ApiServices(settings, engine, store, pipeline) if pipeline is not None else None
    if app.state.api is not None:
        mount_api(app, app.state.api)
    pages.add_pages(app)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    add_error_pages(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(TrustedProxies, proxies=split_proxies(settings.review_proxies))  # pyright: ignore[reportArgumentType]
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=_refresh, args=(app.state.services, ended), name="queues", daemon=True)
    thread.start()
    with contextlib.nullcontext() if app.state.api is None else api_background(app.state.api):
        yield
    ended.set()
    thread.join(10)


def _refresh(services: Services, ended: threading.Event) -> None:
    """Queue what was loaded, until the application ends."""
    failing = False
    while not ended.is_set():
        try:
            refresh_queues(services.engine, services.criteria)
            failing = False
        except SQLAlchemyError as error:
            if not failing:  # said once, not every few seconds
                log.warning("the queues are not refreshed: %s", redact_text(f"{type(error).__name__}: {error}"))
            failing = True
        ended.wait(REFRESH)
