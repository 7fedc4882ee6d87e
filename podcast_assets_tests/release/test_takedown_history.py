"""The history of a repository is rewritten for a takedown once, and what people see of a release names no episode by its title."""

import datetime
import hashlib
import io

import dagster as dg
import polars as pl
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.launch import release_in_process
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.release import ReleaseResult, release
from podcast_assets.release.targets import hub_pull
from podcast_assets.release.targets.hub import HubTarget
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import new_record, write_record
from podcast_assets_tests.doubles.hub import TOKEN, HubDouble
from podcast_assets_tests.release.sealed_store import change, seal

REPO = "tester/talk"


def publish(store: Store, hub: HubDouble) -> ReleaseResult:
    options = ReleaseOptions("all", "cc-by", shard_bytes=80_000, codec="flac")
    return release(store, HubTarget(REPO, endpoint=hub.url, token=TOKEN), options)


def take_down(store: Store, *names: str) -> None:
    at = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    record = new_record("0" * 16, "podcast", "b1", "asked by its host", None, at)
    write_record(store, record | {"episode_ids": [f"b1-{n}" for n in names], "episodes": [f"b1/b1-{n}" for n in names]})


@pytest.mark.release
def test_only_the_first_release_after_a_takedown_rewrites_the_history(store: Store, hub: HubDouble) -> None:
    seal(store, "b1", ["one", "two", "three"])

    def table() -> str:
        return hashlib.sha256(hub.files(REPO)["metadata/en/b1.parquet"]).hexdigest()

    publish(store, hub)
    first = table()
    take_down(store, "one")
    publish(store, hub)
    second = table()
    assert not hub.blobs.path(first).exists()
    change(store, "hf_shards", "b1", pl.lit(True), policy="asr 2")
    assert publish(store, hub).changed
    third = table()
    assert third != second
    assert hub.blobs.path(second).exists(), "new scores alone are no reason to give all commits other ids"
    take_down(store, "one", "two")
    publish(store, hub)
    assert not hub.blobs.path(third).exists(), "the takedown names more than before"


@pytest.mark.release
def test_a_takedown_goes_through_all_that_was_ever_published(store: Store, hub: HubDouble) -> None:
    def of_b1() -> set[str]:
        files = hub.files(REPO).items()
        return {hashlib.sha256(d).hexdigest() for p, d in files if "/b1." in p or p.endswith("audio_000000.tar")}

    for batch in ("b1", "b2"):
        seal(store, batch, ["one", "two", "three"])
    publish(store, hub)
    ever = of_b1()
    other = hashlib.sha256(hub.files(REPO)["metadata/en/b2.parquet"]).hexdigest()
    for policy in ("asr 2", "asr 3"):
        for batch in ("b1", "b2"):
            change(store, "hf_shards", batch, pl.lit(True), policy=policy)
        publish(store, hub)
        ever |= of_b1()
    take_down(store, "one")
    publish(store, hub)
    assert len(ever) > 4 and [sha for sha in ever - of_b1() if hub.blobs.path(sha).exists()] == []
    assert hub.blobs.path(other).exists(), "of another batch"


def test_dagster_is_told_of_no_title(store: Store) -> None:
    seal(store, "b1", licenses={"two": None})
    with dg.DagsterInstance.ephemeral() as instance:
        assert release_in_process(instance, Settings(store=str(store.root)), ())[0] is not None
        (run,) = instance.get_runs()
        events = "".join(str(event) for event in instance.all_logs(run.run_id))
    assert "b1-two" in events
    assert "Episode two" not in events


@pytest.mark.release
def test_a_takedown_before_a_pull_request_is_merged_is_followed(
    store: Store, hub: HubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch, audio_bytes=9_000)
    options = ReleaseOptions("all", "cc-by", shard_bytes=80_000, codec="flac")
    target = HubTarget(REPO, endpoint=hub.url, token=TOKEN, commit_files=2)
    upload = hub_pull.PullRequest.upload

    def upload_then_take_down(*arguments: object) -> None:
        upload(*arguments)  # type: ignore[arg-type]
        take_down(store, "one")

    monkeypatch.setattr(hub_pull.PullRequest, "upload", upload_then_take_down)
    release(store, target, options)
    rows = pl.read_parquet(io.BytesIO(hub.files(REPO)["metadata/en/b1.parquet"]))
    assert set(rows["episode_id"]) == {"b1-two"}
