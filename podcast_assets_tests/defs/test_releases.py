"""What starts releases by itself, and what a materialization shows of one."""

from pathlib import Path

import dagster as dg
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.launch import release_in_process
from podcast_assets.defs.releases import RELEASE, enough_sealed
from podcast_assets.release.options import release_options
from podcast_assets.release.release import release
from podcast_assets.release.targets.choose import choose_target
from podcast_assets.release.targets.hub import HubTarget
from podcast_assets.release.targets.protocol import TargetFile
from podcast_assets.store.store import Store
from podcast_assets_tests import quick
from podcast_assets_tests.doubles.hub import TOKEN, running_hub
from podcast_assets_tests.release.sealed_store import seal, take_down


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards have pictures that nobody drew."""
    quick.draw_nothing(monkeypatch)


def settings(store: Store, **more: str) -> Settings:
    return Settings(store=str(store.root), **more)  # type: ignore[arg-type]


def tick(
    instance: dg.DagsterInstance, store: Store, cursor: str | None = None, **more: str
) -> tuple[dg.RunRequest | dg.SkipReason, str | None]:
    resources = dict(build_definitions(settings(store, **more)).resources or {})
    with dg.build_sensor_context(instance, cursor=cursor, resources=resources) as context:
        found = enough_sealed(context)
        assert isinstance(found, (dg.RunRequest, dg.SkipReason))
        return found, context.cursor


@pytest.mark.usefixtures("no_pictures")
def test_the_sensor_waits_until_enough_is_sealed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_RELEASE_BYTES", "50000")
    with dg.DagsterInstance.ephemeral() as instance:
        seal(store, "b1")
        found, cursor = tick(instance, store)
        assert isinstance(found, dg.SkipReason) and "of 50,000 bytes" in str(found.skip_message)
        found, _ = tick(instance, store, cursor)
        assert "nothing has changed" in str(getattr(found, "skip_message", ""))
        seal(store, "b2")
        found, _ = tick(instance, store, cursor)
        assert isinstance(found, dg.RunRequest)
        once_more, _ = tick(instance, store, cursor)
        assert isinstance(once_more, dg.RunRequest) and once_more.run_key == found.run_key, "Dagster starts one run"
        told, why = release_in_process(instance, settings(store), ())
        assert told is not None, why
        found, _ = tick(instance, store, cursor)
        assert isinstance(found, dg.SkipReason)


@pytest.mark.usefixtures("no_pictures")
def test_the_sensor_does_not_wait_where_something_has_to_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_RELEASE_BYTES", "1000000000")
    with dg.DagsterInstance.ephemeral() as instance:
        seal(store, "b1")
        assert release_in_process(instance, settings(store), ())[0] is not None
        seal(store, "b1", licenses={"one": None})
        found, cursor = tick(instance, store)
        assert isinstance(found, dg.RunRequest)
        again, _ = tick(instance, store, cursor)
        assert isinstance(again, dg.RunRequest) and again.run_key == found.run_key, "not every few minutes"
        monkeypatch.setattr("podcast_assets.defs.releases._hour", lambda: "an hour later")
        again, _ = tick(instance, store, cursor)
        assert isinstance(again, dg.RunRequest) and again.run_key != found.run_key, "it may have failed"


@pytest.mark.release
@pytest.mark.usefixtures("no_pictures")
def test_the_sensor_does_not_rest_until_the_history_is_purged(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODCAST_RELEASE_BYTES", "1000000000")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    repo = "tester/talk"
    with dg.DagsterInstance.ephemeral() as instance, running_hub(tmp_path / "hub") as hub:
        target, options = HubTarget(repo, endpoint=hub.url, token=TOKEN), release_options(settings(store))
        monkeypatch.setattr(
            "podcast_assets.release.targets.choose.choose_target",
            lambda chosen, place: target if chosen.hub_repo else choose_target(chosen, place),
        )
        seal(store, "b1")
        release(store, target, options)
        assert isinstance(tick(instance, store, hub_repo=repo)[0], dg.SkipReason)
        take_down(store, "b1", "one")
        hub.fault("POST", "/lfs-files/batch", 403)
        with pytest.raises(Misconfigured, match="still in its history"):
            release(store, target, options)
        assert isinstance(tick(instance, store, hub_repo=repo)[0], dg.RunRequest)
        assert isinstance(tick(instance, store)[0], dg.SkipReason), "not for another place"
        release(store, target, options)
        assert isinstance(tick(instance, store, hub_repo=repo)[0], dg.SkipReason)


@pytest.mark.usefixtures("no_pictures")
def test_the_sensor_looks_again_when_a_list_of_feeds_changes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_RELEASE_BYTES", "1000000000")
    with dg.DagsterInstance.ephemeral() as instance:
        seal(store, "b1")
        _, cursor = tick(instance, store)
        found, _ = tick(instance, store, cursor)
        assert "nothing has changed" in str(getattr(found, "skip_message", ""))
        store.write("feeds/feeds.csv", b"url\nhttps://example.org/feed.xml\n")
        found, _ = tick(instance, store, cursor)
        assert "of 1,000,000,000 bytes" in str(getattr(found, "skip_message", ""))


def test_without_a_threshold_it_never_releases(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PODCAST_RELEASE_BYTES", raising=False)
    seal(store, "b1")
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(tick(instance, store)[0], dg.SkipReason)


def test_a_materialization_shows_what_was_released_and_what_was_not(store: Store) -> None:
    seal(store, "b1", licenses={"two": None})
    with dg.DagsterInstance.ephemeral() as instance:
        assert release_in_process(instance, settings(store), ())[0] is not None
        (event,) = instance.fetch_materializations(dg.AssetKey("hf_dataset"), limit=5).records
        shown = event.asset_materialization.metadata if event.asset_materialization else {}
        assert shown["dagster/row_count"].value == 3
        assert "license_missing" in str(shown["not_released"].value)
        assert "b1-two" in str(shown["not_released_episodes"].value)
        assert "data:image/png" in str(shown["languages"].value)
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("hf_dataset"), n) for n in ("published_equal", "all_released")]
        )
        assert {k.name: c.status.value for k, c in checks.items()} == {
            "published_equal": "SUCCEEDED",
            "all_released": "FAILED",
        }


@pytest.mark.usefixtures("no_pictures")
def test_a_shard_that_is_not_published_as_it_is_sealed_fails_the_release(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(store, "b1", licenses={"two": None})  # all_released fails too, which is only a warning
    monkeypatch.setattr(TargetFile, "is_file", lambda *_: False)
    with dg.DagsterInstance.ephemeral() as instance:
        told, why = release_in_process(instance, settings(store), ())
    assert (told, why) == (None, "check published_equal of hf_dataset failed")


def test_a_backfill_of_batches_releases_nothing(store: Store) -> None:
    graph = build_definitions(settings(store)).resolve_asset_graph()
    assert not graph.get(dg.AssetKey("hf_dataset")).is_partitioned
    assert RELEASE in {job.name for job in build_definitions(settings(store)).jobs or []}
