"""Asset `content_flags`: several moderation policies judge a batch, each on its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.content_flags import content_flags
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, TABLES, empty_table, make_table
from podcast_assets.store.store import Store
from podcast_assets_tests.doubles import classifier
from podcast_assets_tests.doubles.classifier import DoubleClassifier, write_policy
from podcast_assets_tests.noise_batch import commit_noise

POLITE = "Good morning, and welcome to the garden show with all of us."
RUDE = "What the fuck is this shit?"
TEXTS = {"one": [POLITE, RUDE], "two": [POLITE, "It was a bad day for all of us."], "three": ["", ""]}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    classifier.install(monkeypatch)
    found = Store.at(tmp_path / "store")
    commit_noise(found, "b")
    say(found, TEXTS)
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        found.add_dynamic_partitions(BATCHES, ["b"])
        yield found


def say(store: Store, texts: dict[str, list[str]], language: str = "en") -> None:
    """Commit transcripts with these texts."""
    before = CommittedTable.read(store, "transcripts", "b")
    said = {f"{episode}-{i}": text for episode, own in texts.items() for i, text in enumerate(own)}
    rows = before.rows.with_columns(
        text=pl.col("segment_id").replace_strict(said), language=pl.lit(language, pl.String)
    )
    commit(store, "transcripts", "b", rows, before.provenance, empty_table(FAILURES))


def materialize(instance: dg.DagsterInstance, store: Store, **changes: Any) -> dg.ExecuteInProcessResult:
    given = Settings(store=str(store.root), profile="embedded", **changes)
    resources = {"store": StoreResource(root=given.store), "pipeline": PipelineResource.of(given)}
    result = dg.materialize([content_flags.definition(None)], instance=instance, resources=resources, partition_key="b")
    assert result.success
    return result


def flags(store: Store) -> pl.DataFrame:
    return CommittedTable.read(store, "content_flags", "b").rows


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {c.check_name: c.passed for c in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("content_flags")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_policy_flags_what_is_said(instance: dg.DagsterInstance, store: Store) -> None:
    result = materialize(instance, store, moderation="profanity")
    rows = flags(store)
    # the two segments of an episode have one speaker, and so are one turn
    assert rows.select("episode_id", "segment_ids", "label", "verdict").rows() == [
        ("one", ["one-0", "one-1"], "profanity", "flagged"),
        ("two", ["two-0", "two-1"], "profanity", "clean"),
    ]
    assert rows["start"].to_list() == [0.0, 0.0]
    assert rows["end"].to_list() == [2.0, 2.0]
    assert set(rows["engine"]) == {"profanity"}
    assert rows["degraded"].all()
    assert all(checks(result).values())
    facts = metadata(result)
    assert (facts["windows"], facts["windows_flagged"], facts["needs_review_share"]) == (2, 1, 0.0)
    assert "probabilities" in facts
    assert POLITE not in str(result.all_events)


def test_it_resumes_and_judges_only_what_has_changed(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path
) -> None:
    write_policy(tmp_path / "own", "first")
    own = {"moderation_policies": str(tmp_path / "own")}
    materialize(instance, store, moderation="first", **own)
    assert len(DoubleClassifier.asked) == 2
    before = flags(store)
    materialize(instance, store, moderation="first", **own)
    assert len(DoubleClassifier.asked) == 2
    assert flags(store).equals(before)
    write_policy(tmp_path / "own", "second")
    materialize(instance, store, moderation="first,second", **own)
    assert [a.split(":")[0] for a in DoubleClassifier.asked] == ["first", "first", "second", "second"]
    say(store, TEXTS | {"two": [POLITE, "It was a good day."]})
    materialize(instance, store, moderation="first,second", **own)
    assert len(DoubleClassifier.asked) == 6
    assert set(flags(store).filter(episode_id="two")["verdict"]) == {"clean"}
    # a changed policy is another one
    write_policy(tmp_path / "own", "second", changes={"not good": "far from good"})
    materialize(instance, store, moderation="first,second", **own)
    assert [a.split(":")[0] for a in DoubleClassifier.asked[6:]] == ["second", "second"]
    assert flags(store).select("policy", "policy_hash").unique().height == 2


def test_a_missing_classifier_takes_nothing_from_the_others(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path
) -> None:
    write_policy(tmp_path / "own", "mine")
    both = {"moderation": "mine,profanity", "moderation_policies": str(tmp_path / "own")}
    missing = {"engines": {"double": {"missing": True}}}
    result = materialize(instance, store, **both, **missing)
    assert set(flags(store)["policy"]) == {"profanity"}
    assert checks(result)["policies_judged"] is False
    assert metadata(result)["policies_not_judged"] == "mine"
    materialize(instance, store, **both)
    assert set(flags(store)["policy"]) == {"profanity", "mine"}
    # what it judged before stays, except for texts that have changed
    say(store, TEXTS | {"two": [POLITE, "It was a good day."]})
    materialize(instance, store, **both, **missing)
    stayed = flags(store).filter(policy="mine")
    assert set(stayed["episode_id"]) == {"one"}
    assert len(DoubleClassifier.asked) == 2
    materialize(instance, store, **both)
    assert len(DoubleClassifier.asked) == 3


def test_a_classifier_that_answers_the_wrong_way_round_judges_nothing(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path
) -> None:
    write_policy(tmp_path / "own", "mine")
    result = materialize(
        instance,
        store,
        moderation="mine",
        moderation_policies=str(tmp_path / "own"),
        engines={"double": {"wrong": True}},
    )
    assert DoubleClassifier.asked == []
    assert not any(checks(result).values())
    assert "2 of 2 calibration probes wrongly" in metadata(result)["not_made"]
    assert not store.exists("tables/content_flags/b.parquet")


def test_no_answer_is_needs_review_and_another_language_is_not_judged(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path
) -> None:
    say(store, TEXTS | {"one": ["mumble", "mumble"]})
    write_policy(tmp_path / "own", "mine")
    result = materialize(instance, store, moderation="mine", moderation_policies=str(tmp_path / "own"))
    found = flags(store).select("episode_id", "label", "verdict", "reason").rows()
    assert found == [
        ("one", "bad", "needs_review", "the answer is 'maybe'"),
        ("one", "worse", "needs_review", "the answer is 'maybe'"),
        ("two", "bad", "flagged", None),
        ("two", "worse", "clean", None),
    ]
    assert checks(result)["windows_answered"] is False
    assert metadata(result)["price_usd"] == 0.02
    assert metadata(result)["without_probability"] == "2 the answer is '…'"
    say(store, TEXTS, language="de")
    result = materialize(instance, store, moderation="profanity")
    assert set(flags(store)["verdict"]) == {"not_judged"}
    assert set(flags(store)["reason"]) == {"language: the window is in de, and the policy judges en"}
    assert checks(result)["windows_answered"] is True
    assert metadata(result)["windows_in_other_languages"] == 2


def test_an_episode_that_fails_keeps_what_other_policies_judged_and_is_tried_again(
    instance: dg.DagsterInstance, store: Store, tmp_path: Path
) -> None:
    say(store, TEXTS | {"two": ["explode", RUDE]})
    write_policy(tmp_path / "own", "mine")
    both = {"moderation": "profanity,mine", "moderation_policies": str(tmp_path / "own")}
    result = materialize(instance, store, **both)
    assert flags(store).select("policy", "episode_id").unique(maintain_order=True).rows() == [
        ("profanity", "one"),
        ("profanity", "two"),
        ("mine", "one"),
    ]
    committed = CommittedTable.read(store, "content_flags", "b")
    assert committed.failures["message"].to_list() == ["mine: the server is gone"]
    assert checks(result)["no_failures"] is False
    assert checks(result)["episodes_accounted"] is True
    DoubleClassifier.asked.clear()
    materialize(instance, store, **both)
    assert {a.split(":")[0] for a in DoubleClassifier.asked} == {"mine"}, "only the failed episode is tried again"
    assert {a for a in DoubleClassifier.asked if "explode" not in a} == set()
    (attempts,) = CommittedTable.read(store, "content_flags", "b").failures["attempts"].to_list()
    assert attempts == 2


def test_without_words_there_is_nothing_to_judge(instance: dg.DagsterInstance, store: Store) -> None:
    say(store, {episode: ["", ""] for episode in TEXTS})
    result = materialize(instance, store, moderation="profanity")
    assert flags(store).is_empty()
    assert all(checks(result).values())
    assert make_table([], TABLES["content_flags"]).schema == flags(store).schema
    assert CommittedTable.read(store, "content_flags", "b").provenance.schema == empty_table(PROVENANCE).schema
