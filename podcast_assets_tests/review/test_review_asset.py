"""The asset `review_decisions` and its sensor: what is decided is published, and takedowns that were asked for are carried out."""

import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine, select

from podcast_assets.catalog.loading.load import load_batch
from podcast_assets.catalog.tables import DECISIONS, EPISODES, SEGMENTS
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.review_decisions import PUBLISH_REVIEWS
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.resources import StoreResource
from podcast_assets.defs.sensors.new_decisions import new_decisions
from podcast_assets.review.decisions import decide, undo
from podcast_assets.review.errors import LeaseLost
from podcast_assets.review.queues import Criteria, refresh_queues
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.takedown_requests import GRACE, pending_takedowns
from podcast_assets.store.review_tables import read_reviewed_segments
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import read_records
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.review.conftest import make_user


@pytest.fixture
def settings(review_settings: Settings, tmp_path: Path) -> Settings:
    return Settings(store=str(tmp_path / "store"), dagster_home=review_settings.dagster_home, catalog=True)


@pytest.fixture
def store(settings: Settings, catalog: Engine) -> Store:
    store = Store.at(settings.store)
    commit_filled_batch(store, "first", without=("hf_shards", "episode_shards"))
    load_batch(catalog, store, "first", words=False)
    refresh_queues(catalog, Criteria(second_look=0))
    return store


def segment(number: int, episode: str = "one") -> ItemRef:
    start = number * 3000
    return ItemRef.segment("first", f"first-{episode}", f"first-{episode}-{start:09d}-{start + 3000:09d}")


def materialize(settings: Settings, instance: dg.DagsterInstance) -> tuple[dict[str, Any], bool]:
    """Run the job; return its metadata and whether the check passed."""
    result = build_definitions(settings).resolve_job_def(PUBLISH_REVIEWS).execute_in_process(instance=instance)
    (made,) = result.asset_materializations_for_node("review_decisions")
    (check,) = result.get_asset_check_evaluations()
    return {name: value.value for name, value in made.metadata.items()}, check.passed


def tick(
    settings: Settings, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[dg.RunRequest | dg.SkipReason, str | None]:
    resources = {"store": StoreResource(root=settings.store), "settings": settings}
    with dg.build_sensor_context(instance, cursor=cursor, resources=resources) as context:
        found = new_decisions(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found, context.cursor


def test_what_is_decided_is_published_and_only_once(catalog: Engine, store: Store, settings: Settings) -> None:
    ada = make_user(catalog, "ada")
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = tick(settings, instance, None)
        assert isinstance(tick(settings, instance, cursor)[0], dg.SkipReason)
        decide(catalog, ada, segment(0), "text", {"text": "what was said"})
        found, cursor = tick(settings, instance, cursor)
        assert isinstance(found, dg.RunRequest)
        made, passed = materialize(settings, instance)
        assert (made["batches"], made["dagster/row_count"], made["segments"], passed) == (1, 1, 1, True)
        assert isinstance(tick(settings, instance, cursor)[0], dg.SkipReason)
        assert materialize(settings, instance)[0]["batches"] == 0
    assert read_reviewed_segments(store, "first")["text_reviewed"].to_list() == ["what was said"]
    with catalog.connect() as connection:
        assert list(connection.scalars(select(SEGMENTS.c.text_reviewed).where(SEGMENTS.c.reviewed))) == [
            "what was said"
        ]


def test_a_takedown_that_was_asked_for_is_carried_out_by_the_takedown(
    catalog: Engine, store: Store, settings: Settings
) -> None:
    ada, carol = make_user(catalog, "ada"), make_user(catalog, "carol", "adjudicator")
    decide(catalog, ada, segment(0), "text", {"text": "a secret"}, note="it names a child")
    asked = decide(catalog, carol, segment(1), "takedown", {"scope": "episode", "reason": "its guest asked"})
    assert pending_takedowns(catalog, store) == [], "there is a minute to undo it"
    assert undo(catalog, carol) is not None
    later = datetime.datetime.now(datetime.UTC) + 2 * GRACE
    assert pending_takedowns(catalog, store, later) == [], "it was undone"
    asked = decide(catalog, carol, segment(1), "takedown", {"scope": "episode", "reason": "its guest asked"})
    with catalog.begin() as connection:  # as if a minute had passed
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.execute(DECISIONS.update().values(decided_at=asked.decided_at - 2 * GRACE))
    assert [requested.by for requested in pending_takedowns(catalog, store)] == ["carol"]
    with dg.DagsterInstance.ephemeral() as instance:
        made, passed = materialize(settings, instance)
    assert (made["takedowns"], passed) == (1, True)
    (record,) = read_records(store).to_dicts()
    assert (record["reason"], record["by"], record["episodes"]) == (
        "its guest asked",
        "carol (review)",
        ["first/first-one"],
    )
    assert record["finished_at"] is not None
    assert pending_takedowns(catalog, store) == []
    with catalog.connect() as connection:
        assert "first-one" not in set(
            connection.scalars(select(EPISODES.c.episode_id).where(EPISODES.c.status == "done"))
        )
        assert not set(connection.scalars(select(SEGMENTS.c.segment_id).where(SEGMENTS.c.episode_id == "first-one")))
        assert list(connection.scalars(select(DECISIONS.c.value).where(DECISIONS.c.value.is_not(None)))) == []
    with pytest.raises(LeaseLost):
        undo(catalog, carol)
    everything = b"".join(p.read_bytes() for p in Path(settings.store).rglob("*") if p.is_file())
    assert b"a secret" not in everything and b"names a child" not in everything


def test_no_batch_waits_for_it(settings: Settings) -> None:
    definitions = build_definitions(settings)
    node = definitions.resolve_asset_graph().get(dg.AssetKey("review_decisions"))
    assert not node.is_partitioned and not node.pools
    assert {n.name for n in definitions.resolve_job_def(PUBLISH_REVIEWS).nodes} == {"review_decisions"}
    for job in ("podcast_dataset", "release_dataset"):
        assert "review_decisions" not in {n.name for n in definitions.resolve_job_def(job).nodes}


def test_without_a_catalog_nobody_is_asked(tmp_path: Path) -> None:
    alone = Settings(store=str(tmp_path / "store"), dagster_home=tmp_path / "home")
    with dg.DagsterInstance.ephemeral() as instance:
        found, _ = tick(alone, instance, None)
        assert isinstance(found, dg.SkipReason)
        made, passed = materialize(alone, instance)
    assert "there is no catalog" in made["note"] and passed
    assert not (tmp_path / "home" / "catalog").exists()
