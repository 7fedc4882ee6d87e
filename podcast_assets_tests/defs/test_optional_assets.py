"""Optional assets: made where the settings ask for them, and never what a batch waits for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets import optional
from podcast_assets.defs.assets.content_flags import content_flags
from podcast_assets.defs.assets.episode_shards import episode_shards
from podcast_assets.defs.assets.hf_shards import hf_shards
from podcast_assets.defs.assets.punctuated_texts import punctuated_texts
from podcast_assets.defs.assets.second_opinions import second_opinions
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.jobs import JOB
from podcast_assets.defs.launch import request_backfill
from podcast_assets.defs.partitions import BATCHES, batches
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.punctuate import Punctuate
from podcast_assets.stages.second_opinion import SecondOpinion
from podcast_assets.stages.unfinished import missing, with_retryable_failures
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.schema import ASSETS, FAILURES, PROVENANCE, TABLES, empty_table, make_table
from podcast_assets.store.stage_names import OPTIONAL_STAGES
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure
from podcast_assets_tests.noise_batch import EPISODES, commit_noise

ASKED_FOR: Mapping[str, dict[str, Any]] = {
    "second_opinions": {"second_transcriber": "en=pocketsphinx"},
    "punctuated_texts": {"text_care": "pii, punctuation"},
    "content_flags": {"moderation": "profanity"},
    "episode_shards": {"grains": "segments,episodes"},
}
SET = {
    "second_opinions": "PODCAST_SECOND_TRANSCRIBER",
    "punctuated_texts": "PODCAST_TEXT_CARE=punctuation",
    "content_flags": "PODCAST_MODERATION",
    "episode_shards": "PODCAST_GRAINS=segments,episodes",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions(BATCHES, ["b"])
        yield found


def settings(store: Store, **changes: Any) -> Settings:
    return Settings(store=str(store.root), profile="embedded", **changes)


def materialize(
    instance: dg.DagsterInstance, store: Store, *assets: dg.AssetsDefinition, **changes: Any
) -> dg.ExecuteInProcessResult:
    given = settings(store, **changes)
    resources = {"store": StoreResource(root=given.store), "pipeline": PipelineResource.of(given)}
    result = dg.materialize(list(assets), instance=instance, resources=resources, partition_key="b")
    assert result.success
    return result


def checks(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dg.AssetCheckEvaluation]:
    return {c.check_name: c for c in result.get_asset_check_evaluations() if c.asset_key == dg.AssetKey(asset)}


def why(result: dg.ExecuteInProcessResult, asset: str) -> set[str]:
    """What the failed checks of an asset say."""
    found = checks(result, asset)
    assert found
    assert not any(c.passed or c.blocking for c in found.values())
    return {str(c.metadata["not_made"].value) for c in found.values()}


def test_the_job_and_backfills_have_those_that_the_settings_ask_for(store: Store, monkeypatch: Any) -> None:
    monkeypatch.setattr("podcast_assets.stages.profiles.check_available", lambda _: (True, ""))
    cases = [{}, *ASKED_FOR.values(), {k: v for change in ASKED_FOR.values() for k, v in change.items()}]
    for change in cases:
        given = settings(store, **change)
        wanted = {name for name, asks in ASKED_FOR.items() if asks.items() <= change.items()} | ASSETS.keys()
        definitions = build_definitions(given)
        assert {n.name for n in definitions.resolve_job_def(JOB).nodes} == wanted
        with dg.instance_for_test() as instance:
            backfill = instance.get_backfill(request_backfill(instance, given, ["b"]))
            assert backfill is not None
            assert backfill.asset_selection is not None
            assert {key.to_user_string() for key in backfill.asset_selection} == wanted


def test_each_has_its_place_in_the_graph() -> None:
    """Scores are made after what they take of the optional assets."""
    graph = build_definitions().resolve_asset_graph()
    parents = {name: {k.to_user_string() for k in graph.get(dg.AssetKey(name)).parent_keys} for name in TABLES}
    assert parents["second_opinions"] == parents["punctuated_texts"] == parents["content_flags"] == {"transcripts"}
    assert parents["quality_scores"] == {"transcripts", "second_opinions", "punctuated_texts"}
    assert parents["episode_shards"] == {"hf_shards"}
    assert parents["hf_shards"] == {"quality_scores"}
    dataset = {k.to_user_string() for k in graph.get(dg.AssetKey("hf_dataset")).parent_keys}
    assert dataset == {"hf_shards", "episode_shards", "content_flags", "review_decisions"}


def test_a_batch_is_done_without_them_and_with_their_failures(store: Store) -> None:
    commit_batch(store, "b")
    assert missing(store, ["b"]) == []
    for asset, stage in OPTIONAL_STAGES.items():
        commit(
            store,
            asset,
            "b",
            empty_table(TABLES[asset]),
            empty_table(PROVENANCE),
            make_table([failure(stage)], FAILURES),
        )
    assert missing(store, ["b"]) == with_retryable_failures(store, ["b"]) == []


@pytest.mark.parametrize(
    "asset", [second_opinions, punctuated_texts, content_flags, episode_shards], ids=lambda a: a.key.path[0]
)
def test_asked_for_by_hand_it_says_what_to_set(instance: dg.DagsterInstance, store: Store, asset: Any) -> None:
    commit_noise(store, "b")
    name = asset.key.to_user_string()
    commit(store, name, "b", empty_table(TABLES[name]), empty_table(PROVENANCE), empty_table(FAILURES))
    result = materialize(instance, store, asset.definition(None))
    (said,) = why(result, name)
    assert f"set {SET[name]} " in said
    assert store.exists(table_key(name, "b")), "what an earlier run made stays"


class NotHere(Engine):
    """An engine whose model is not available."""

    def fetch(self) -> None:
        raise EngineUnavailable("there is no model here")


@pytest.mark.parametrize("stage", [SecondOpinion, Punctuate])
def test_an_engine_that_is_missing_keeps_nothing_else_from_being_done(
    instance: dg.DagsterInstance, store: Store, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    commit_noise(store, "b")
    monkeypatch.setattr(stage, "engine_of", staticmethod(lambda profile: NotHere()))
    asset = {SecondOpinion: second_opinions, Punctuate: punctuated_texts}[stage]

    @dg.asset(name="quality_scores", partitions_def=batches, deps=[asset.key])
    def scores() -> None: ...

    result = materialize(instance, store, asset.definition(None), scores)
    assert result.asset_materializations_for_node("quality_scores")
    (said,) = why(result, stage.asset)
    assert "there is no model here" in said
    assert stage.asset in said
    assert not store.exists(table_key(stage.asset, "b"))


def test_a_full_store_ends_the_run(instance: dg.DagsterInstance, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    commit_noise(store, "b")
    monkeypatch.setattr(optional, "do_stage", full)
    with pytest.raises(OSError, match="No space left"):
        materialize(instance, store, second_opinions.definition(None), **ASKED_FOR["second_opinions"])


def test_what_fails_for_every_episode_fails_no_run(instance: dg.DagsterInstance, store: Store) -> None:
    commit_noise(store, "b")
    result = materialize(instance, store, second_opinions.definition(None), **ASKED_FOR["second_opinions"])
    (said,) = why(result, "second_opinions")
    assert "all 3 episodes failed" in said, "none has working audio"


def test_both_grains_resume_and_the_second_goes_with_its_setting(instance: dg.DagsterInstance, store: Store) -> None:
    commit_noise(store, "b")
    both = [hf_shards.definition(None), episode_shards.definition(None)]
    wanted = ASKED_FOR["episode_shards"]
    first = materialize(instance, store, *both, **wanted)
    assert all(c.passed for a in ("hf_shards", "episode_shards") for c in checks(first, a).values())
    rows = CommittedTable.read(store, "episode_shards", "b")
    assert sorted(rows.fingerprints) == sorted(EPISODES)
    shards = {e.key for e in store.list("sealed/b") if e.key.endswith(".tar")}
    assert len(shards) == 2

    again = materialize(instance, store, *both, **wanted)
    for asset in ("hf_shards", "episode_shards"):
        (made,) = again.asset_materializations_for_node(asset)
        assert "sealed_before" in made.metadata
    assert {e.key for e in store.list("sealed/b") if e.key.endswith(".tar")} == shards

    materialize(instance, store, both[0], **wanted)
    assert store.exists(table_key("episode_shards", "b")), "wanted, and up to date"
    materialize(instance, store, both[0])
    assert not store.exists(table_key("episode_shards", "b"))
    assert {e.key for e in store.list("sealed/b") if e.key.endswith(".tar")} == {k for k in shards if "/data/" in k}
