"""Failures in the page: what an adjudicator decides is carried out."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from podcast_assets.catalog.tables import DECISIONS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.api.pipeline import Pipeline
from podcast_assets.review.app.application import create_app
from podcast_assets.review.app.pages import decisions as decisions_page
from podcast_assets.review.errors import LeaseLost
from podcast_assets.store.commits import commit
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets_tests.review.app.conftest import Person, Site, form_fields


class QueueDouble:
    """Takes the requests for retries that Dagster's queue would take."""

    def __init__(self) -> None:
        self.requested: list[Sequence[str]] = []
        self.refusal: str | None = None

    def retry(self, batches: Sequence[str]) -> str:
        if self.refusal is not None:
            raise BadInput(self.refusal)
        self.requested.append(batches)
        return "backfill"

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing asks for {name}")


@pytest.fixture
def queue() -> QueueDouble:
    return QueueDouble()


@pytest.fixture
def failing(site: Site, queue: QueueDouble) -> Site:
    """The site, with the episode that failed in its store too."""
    row = dict.fromkeys(RAW_AUDIO) | {"episode_id": "first-broken", "source": "broken.mp3", "status": "failed"}
    commit(
        site.store, "raw_audio", "first", make_table([row], RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES)
    )
    app: FastAPI = create_app(site.settings, site.engine, site.store, cast(Pipeline, queue))
    return Site(app, site.engine, site.store, site.settings)


def decisions(site: Site) -> int:
    with site.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(DECISIONS)) or 0


def fields_of(person: Person, action: str) -> dict[str, str]:
    return dict(form_fields(person.get("/next?queue=failures"), action))


def test_a_retry_is_requested(failing: Site, queue: QueueDouble) -> None:
    ada = failing.person("ada", "adjudicator")
    ada.submit("/decide", dict(fields_of(ada, "retry")))
    assert queue.requested == [["first"]]
    assert decisions(failing) == 1


def test_a_retry_that_is_refused_is_not_recorded(failing: Site, queue: QueueDouble) -> None:
    queue.refusal = "already in a queued or active run: first"
    ada = failing.person("ada", "adjudicator")
    answer = ada.client.post("/decide", data={"csrf": ada.csrf} | fields_of(ada, "retry"))
    assert answer.status_code == 422
    assert "already in a queued or active run: first" in answer.text
    assert decisions(failing) == 0


def test_a_discard_counts_until_it_is_undone(failing: Site) -> None:
    ada = failing.person("ada", "adjudicator")
    ada.submit("/decide", dict(fields_of(ada, "discard")) | {"note": "only noise"})
    assert read_batch_discards(failing.store, "first").keys() == {"first-broken"}
    assert read_batch_discards(failing.store, "first")["first-broken"].endswith("only noise")
    ada.submit("/undo", {"queue": "failures"})
    assert not read_batch_discards(failing.store, "first")


def test_reviewers_discard_nothing(failing: Site) -> None:
    ada, bob = failing.person("ada", "adjudicator"), failing.person("bob")
    fields = fields_of(ada, "discard")
    assert bob.client.post("/decide", data=dict(fields) | {"csrf": bob.csrf}).status_code == 403
    assert not read_batch_discards(failing.store, "first")


def test_nothing_is_discarded_where_the_decision_is_lost(failing: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object, **__: object) -> None:
        raise LeaseLost("Somebody else decided this meanwhile.")

    monkeypatch.setattr(decisions_page, "decide", lose)
    ada = failing.person("ada", "adjudicator")
    fields = dict(fields_of(ada, "discard")) | {"csrf": ada.csrf}
    assert ada.client.post("/decide", data=fields).status_code == 409
    assert not read_batch_discards(failing.store, "first")
