"""From decisions in the catalog to data: tables and transcripts in the store, the catalog's own columns, samples and reports."""

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine, select

from podcast_assets.catalog.loading.load import load_batch, load_batches
from podcast_assets.catalog.tables import SAMPLES, SEGMENTS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.decisions import decide, undo
from podcast_assets.review.leases import next_item
from podcast_assets.review.publish import PublishedReviews, decisions_digest, publish_reviews
from podcast_assets.review.queues import Criteria, refresh_queues
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.report import make_report, publish_report
from podcast_assets.review.roles import User
from podcast_assets.review.samples import draw
from podcast_assets.speech import voices
from podcast_assets.speech.linking import LINKED
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.review_tables import decisions_key, read_report, read_reviewed_segments
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REVIEW_DECISIONS
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import new_record, record_id, write_record
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.review.conftest import make_user


@pytest.fixture
def store(tmp_path: Path, catalog: Engine) -> Store:
    """Two loaded batches of one podcast, each of two episodes with four segments."""
    store = Store.at(tmp_path / "store")
    for batch in ("first", "second"):
        commit_filled_batch(store, batch)
        load_batch(catalog, store, batch, words=True)
    return store


def segment(number: int, batch: str = "first", episode: str = "one") -> ItemRef:
    start = number * 3000
    return ItemRef.segment(batch, f"{batch}-{episode}", f"{batch}-{episode}-{start:09d}-{start + 3000:09d}")


def text(value: str) -> dict[str, object]:
    return {
        "text": value,
        "words": [{"word": w, "start": None, "end": None, "probability": None} for w in value.split()],
    }


def publish(catalog: Engine, store: Store) -> PublishedReviews:
    done = publish_reviews(catalog, store)
    assert done.failed == {}
    return done


def decisions_of(store: Store, batch: str = "first") -> pl.DataFrame:
    found = store.read_table(decisions_key(batch), REVIEW_DECISIONS)
    assert found is not None
    return found


def test_decisions_arrive_in_the_store_and_in_the_catalog_and_undo_takes_them_back(
    catalog: Engine, store: Store
) -> None:
    tables = {asset: CommittedTable.read(store, asset, "first").rows for asset in ("diarized_segments", "transcripts")}
    ada = make_user(catalog, "ada")
    refresh_queues(catalog, Criteria(second_look=0))
    decide(catalog, ada, segment(0), "rename_speaker", {"scope": "episode", "speaker": "S0", "name": "Grace"})
    decide(catalog, ada, segment(0), "text", text("what was said"), seconds=7.5, note="mumbled")
    before = decisions_digest(catalog)
    done = publish(catalog, store)
    assert (done.batches, done.changed, done.decisions, done.segments) == (["first"], ["first"], 2, 2)
    row = decisions_of(store).filter(action="text").row(0, named=True)
    assert (row["decided_by"], json.loads(row["value"])["text"], row["note"]) == ("ada", "what was said", "mumbled")
    assert publish(catalog, store).batches == []
    assert load_batches(catalog, store, words=True).unchanged == 1
    with catalog.connect() as connection:
        c = SEGMENTS.c
        rows = connection.execute(
            select(c.text_reviewed, c.speaker_name, c.reviewed).where(c.episode_id == "first-one")
        )
        assert rows.all() == [
            ("what was said", "Grace", True), (None, None, None), (None, "Grace", False), (None, None, None),
        ]  # fmt: skip
    transcript = store.read("reviews/transcripts/first/first-one.md").decode()
    assert "**Grace** [0:00] what was said" in transcript
    assert "1 of 4 segments were checked" in transcript
    for asset, rows_before in tables.items():
        assert CommittedTable.read(store, asset, "first").rows.equals(rows_before), "tables of the stages never change"
    assert undo(catalog, ada) is not None
    assert decisions_digest(catalog) != before
    publish(catalog, store)
    assert read_reviewed_segments(store, "first")["text_reviewed"].to_list() == [None, None]
    assert decisions_of(store)["action"].to_list() == ["rename_speaker", "text", "undo"]


def test_a_name_for_the_whole_podcast_follows_the_voice_and_not_the_label(catalog: Engine, store: Store) -> None:
    ada = make_user(catalog, "ada")
    refresh_queues(catalog, Criteria(second_look=0))
    linked = [
        dict.fromkeys(LINKED) | {"podcast": "guid of A Show", "batch": b, "episode_id": e, "speaker": s, "voice": v}
        for b, e, s, v in (
            ("first", "first-one", "S0", "v1"), ("second", "second-two", "S1", "v1"), ("second", "second-two", "S0", "v2"),
        )
    ]  # fmt: skip
    voices.write_links(store, make_table(linked, LINKED))
    named = {"scope": "podcast", "podcast": "guid of A Show", "speaker": "S0", "name": "Grace"}
    decide(catalog, ada, segment(0), "rename_speaker", named)
    assert publish(catalog, store).batches == ["first", "second"]
    second = read_reviewed_segments(store, "second")
    assert second["segment_id"].to_list() == [segment(n, "second", "two").item_id for n in (1, 3)]
    assert second["speaker_name"].unique().to_list() == ["Grace"]


def test_what_was_taken_down_leaves_the_reviews_too(catalog: Engine, store: Store) -> None:
    ada = make_user(catalog, "ada")
    refresh_queues(catalog, Criteria(second_look=0))
    decide(catalog, ada, segment(0), "text", text("a secret"))
    decide(catalog, ada, segment(0, episode="two"), "text", text("no secret"))
    publish(catalog, store)
    now = datetime.datetime.now(datetime.UTC)
    record = new_record(record_id("episode", ["first-one"]), "episode", "first-one", "asked", None, now)
    write_record(store, record | {"episode_ids": ["first-one"], "episodes": ["first/first-one"]})
    load_batch(catalog, store, "first", words=True)
    assert publish(catalog, store).batches == ["first"], "the emptied decisions are another state"
    assert decisions_of(store)["episode_id"].to_list() == ["first-two"]
    assert read_reviewed_segments(store, "first")["text_reviewed"].to_list() == ["no secret"]
    assert store.names("reviews/transcripts/first").isdisjoint({"first-one.md", "first-one.txt"})
    everything = b"".join(p.read_bytes() for p in Path(str(store.path("reviews"))).rglob("*") if p.is_file())
    assert b"a secret" not in everything


def review_all(catalog: Engine, user: User, correct: Callable[[str], str]) -> int:
    """Review the queue `sample` until nothing is left for a user."""
    done = 0
    while lease := next_item(catalog, user, "sample"):
        with catalog.connect() as connection:
            said = connection.scalar(select(SEGMENTS.c.text).where(SEGMENTS.c.segment_id == lease.ref.item_id)) or ""
        decide(catalog, user, lease.ref, "text", text(correct(said)), queue="sample", seconds=4)
        done += 1
    return done


def test_a_sample_reviewed_twice_measures_the_error_rate(catalog: Engine, store: Store) -> None:
    ada, ben = make_user(catalog, "ada"), make_user(catalog, "ben")
    assert publish_report(catalog, store) is False
    drawn = draw(catalog, 24, name="tiny")
    assert (drawn.population, drawn.population_seconds) == (16, 48)
    with catalog.connect() as connection:
        assert sum(connection.scalars(select(SAMPLES.c.weight))) == 16
    with pytest.raises(BadInput, match="already"):
        draw(catalog, 24, name="tiny")
    assert make_report(catalog)["segments_waiting"] == drawn.segments
    # each text has six words such as "word7", which count as two, and both replace the first one; case is no difference
    assert review_all(catalog, ada, lambda said: f"quite {said.split(' ', 1)[1]}") == drawn.segments
    assert make_report(catalog)["word_error_rate"]["rate"] is None, "one look measures nothing"
    assert review_all(catalog, ben, lambda said: f"Quite, {said.split(' ', 1)[1]}") == drawn.segments
    report = make_report(catalog)
    assert report["word_error_rate"]["rate"] == pytest.approx(2 / 11)
    assert (report["segments_reviewed_twice"], report["between_reviewers"]) == (drawn.segments, 0.0)
    assert [r["name"] for r in report["reviewers"]] == ["ada", "ben"]
    assert {(r["texts_changed"], r["agreed"], r["seconds_per_item"]) for r in report["reviewers"]} == {(1.0, 1.0, 4.0)}
    assert report["kappas"][0]["label"] == "the text is correct"
    assert report["kappas"][0]["kappa"] is None, "nobody ever said another thing"
    assert publish_report(catalog, store)
    assert not publish_report(catalog, store)
    stored = read_report(store)
    assert stored is not None
    assert "ada" not in json.dumps(stored), "reviewers stay in the catalog"
