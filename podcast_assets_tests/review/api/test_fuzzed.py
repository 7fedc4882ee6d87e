"""The interface is fuzzed from its own OpenAPI document: no request makes it fail, and answers are as documented."""

from collections.abc import Mapping
from typing import Any

import hypothesis
import pytest
from sqlalchemy import Engine

from podcast_assets.catalog.loading.load import load_batch
from podcast_assets.review.api.application import create_api_app
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.tokens import Scope
from podcast_assets_tests.catalog.filled_store import commit_filled_batch

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 10
"""Requests per operation, of valid and of invalid ones each."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)


def test_no_request_makes_it_fail_and_answers_are_as_documented(
    services: ApiServices, catalog: Engine, tokens: Mapping[Scope, Mapping[str, str]]
) -> None:
    commit_filled_batch(services.store, "a")
    load_batch(catalog, services.store, "a", words=False)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", create_api_app(services))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 14
    failed = []
    for operation in operations:
        for mode in schemathesis.GenerationMode:
            try:
                _fuzz(operation, mode, tokens["admin"])
            except BaseException as error:
                failed.append(f"{operation.method} {operation.path} {mode.value}: {_describe(error)}")
    assert not failed, "\n\n".join(failed)


def _fuzz(operation: Any, mode: Any, headers: Mapping[str, str]) -> None:
    chosen = [check for check in schemathesis.checks.CHECKS.get_all() if check.__name__ in CHECKS]
    assert len(chosen) == len(CHECKS)

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers=dict(headers), checks=chosen)

    check()


def _describe(error: BaseException) -> str:
    inner = getattr(error, "exceptions", ())
    return "; ".join(_describe(e) for e in inner) if inner else f"{type(error).__name__}: {error}"
