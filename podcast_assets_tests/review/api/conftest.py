"""The interface over a catalog and a store of its own, and tokens of each scope."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from podcast_assets.cli.pipeline import StorePipeline
from podcast_assets.config.settings import Settings
from podcast_assets.review.api.application import create_api_app
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.tokens import SCOPES, Scope, add_token
from podcast_assets.store.store import Store

KEY = "k" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        dagster_home=tmp_path / "home",
        api_requests_per_second=10_000,
        review_key=KEY,
        embedder="none",
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def services(settings: Settings, store: Store, catalog: Engine) -> ApiServices:
    return ApiServices(settings, catalog, store, StorePipeline(settings, store))


@pytest.fixture
def client(services: ApiServices) -> TestClient:
    """A client of the interface, beside which nothing works."""
    return TestClient(create_api_app(services))


@pytest.fixture
def tokens(catalog: Engine) -> Mapping[Scope, Mapping[str, str]]:
    """Scope → header of a request with a token of that scope."""
    return {scope: bearer(add_token(catalog, f"a {scope}", [scope])[1]) for scope in SCOPES}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
