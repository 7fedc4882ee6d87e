"""The interface is fuzzed from its own OpenAPI document: no request makes it fail, and answers are as documented."""

from collections.abc import Mapping

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.result import Ok
from sqlalchemy import Engine

from podcast_assets.catalog.loading.load import load_batch
from podcast_assets.review.api.application import create_api
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.tokens import Scope
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch

EXAMPLES = 12
"""Per operation; about 40 s in all."""
