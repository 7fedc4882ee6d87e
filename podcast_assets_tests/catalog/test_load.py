"""Loading: what the catalog has is what the store has, whatever happened before."""

import dataclasses
import datetime
import json
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine, insert, select, text

from podcast_assets.catalog.loading import load, rows
from podcast_assets.catalog.loading.load import forget_versions, load_batch, load_batches
from podcast_assets.catalog.loading.source import SourceTables
from podcast_assets.catalog.tables import (
    BATCHES,
    DECISIONS,
    EPISODES,
    METADATA,
    PODCASTS,
    SCORES,
    SEGMENTS,
    kept_tables,
)
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import QUALITY_SCORES, RAW_AUDIO, TRANSCRIPTS
from podcast_assets.store.stage_names import TABLE_STAGES
from podcast_assets.store.store import DamagedTable, Store, table_key
from podcast_assets_tests.catalog.filled_store import commit_filled_batch, content_flags

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store.at(tmp_path / "store")


def everything(engine: Engine) -> Rows:
    """All rows of all tables, but when they were loaded."""
    with engine.connect() as connection:
        found = {}
        for table in METADATA.sorted_tables:
            columns = [c for c in table.columns if c.name != "loaded_at"]
            found[table.name] = [
                dict(r) for r in connection.execute(select(*columns).order_by(*table.primary_key)).mappings()
            ]
        return found


def test_the_catalog_has_what_the_store_has(catalog: Engine, store: Store) -> None:
    commit_filled_batch(store, "first")
    loaded = load_batch(catalog, store, "first", words=True)
    assert loaded.passed_over == {}
    assert {name: loaded.rows[name] for name in ("episodes", "segments", "words", "scores", "speakers")} == {
        "episodes": 2, "segments": 8, "words": 48, "scores": 8, "speakers": 4,
    }  # fmt: skip
    found = everything(catalog)
    texts = CommittedTable.read(store, "transcripts", "first").rows.sort("segment_id")
    assert [row["text"] for row in found["segments"]] == texts["text"].to_list()
    said = pl.DataFrame(found["words"]).group_by("segment_id", maintain_order=True).agg(pl.col("word"))
    assert said["word"].list.join(" ").to_list() == texts["text"].to_list()
    scores = CommittedTable.read(store, "quality_scores", "first").rows.sort("segment_id")
    for column in ("dnsmos_ovrl", "snr_db", "keep", "reject_reasons", "policy"):
        assert [row[column] for row in found["scores"]] == scores[column].to_list()
    episode = found["episodes"][0]
    assert episode["title"] == 'Episode "one"\nof \\N first'
    assert episode["url"] == "https://example.org/one"
    assert episode["published_at"].isoformat() == "2026-11-01T08:00:00+00:00"
    assert episode["metadata"]["season"] is None, "JSON has no NaN"
    assert "hunter2" not in json.dumps(found, default=str), "the catalog is for people, and the store is not"
    assert found["podcasts"] == [{"podcast": "guid of A Show", "podcast_id": "guid of A Show", "title": "A Show"}]


def test_loading_again_changes_nothing_and_what_changed_is_replaced(catalog: Engine, store: Store) -> None:
    commit_filled_batch(store, "first")
    load_batch(catalog, store, "first", words=True)
    before = everything(catalog)
    assert load_batch(catalog, store, "first", words=True).changed == 0
    assert everything(catalog) == before
    commit_filled_batch(store, "first", episodes=("two", "three"), segments=3, podcast="Another Show")
    load_batch(catalog, store, "first", words=False)
    found = everything(catalog)
    assert [row["episode_id"] for row in found["episodes"]] == ["first-three", "first-two"]
    assert {row["podcast_title"] for row in found["episodes"]} == {"Another Show"}
    assert (len(found["segments"]), len(found["scores"]), found["words"]) == (6, 6, [])
    assert [row["title"] for row in found["podcasts"]] == ["Another Show"]


def test_only_what_changed_is_loaded_and_what_is_gone_leaves(catalog: Engine, store: Store) -> None:
    for batch in ("first", "second", "third"):
        commit_filled_batch(store, batch)
    seen = []
    result = load_batches(catalog, store, words=False, report=lambda done, total, loaded, _: seen.append((done, total)))
    assert [one.batch for one in result.loaded] == ["first", "second", "third"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    commit_filled_batch(store, "second", segments=5)
    for asset in ("raw_audio", "diarized_segments", "transcripts", "quality_scores", "hf_shards"):
        store.remove(table_key(asset, "third"))
    result = load_batches(catalog, store, words=False)
    assert ([one.batch for one in result.loaded], result.removed, result.unchanged) == (["second"], ["third"], 1)
    assert load_batches(catalog, store, words=False).unchanged == 2
    assert [one.batch for one in load_batches(catalog, store, words=True).loaded] == ["first", "second"], (
        "words are asked for"
    )


def test_a_batch_that_is_not_finished_is_loaded_as_far_as_it_is(catalog: Engine, store: Store) -> None:
    commit_filled_batch(store, "first", without=["transcripts", "quality_scores", "hf_shards"])
    load_batch(catalog, store, "first", words=True)
    found = everything(catalog)
    assert {row["text"] for row in found["segments"]} == {None}
    assert found["scores"] == []
    with catalog.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM podcast_catalog.transcripts")) == 0


def test_a_damaged_table_leaves_what_is_there_and_does_not_stop_others(catalog: Engine, store: Store) -> None:
    for batch in ("first", "second"):
        commit_filled_batch(store, batch)
    load_batches(catalog, store, words=False)
    key = table_key("transcripts", "first")
    store.write(key, store.read(key)[:-9])
    before = everything(catalog)
    with pytest.raises(DamagedTable, match="materialize transcripts of first again"):
        load_batch(catalog, store, "first", words=False)
    result = load_batches(catalog, store, words=False, again=True)
    assert [one.batch for one in result.loaded] == ["second"]
    assert "transcripts" in result.failed["first"]
    assert everything(catalog) == before


def test_rows_without_what_they_belong_to_are_counted(catalog: Engine, store: Store) -> None:
    commit_filled_batch(store, "first")
    commit_filled_batch(store, "first", segments=3, without=["quality_scores", "transcripts", "hf_shards"])
    assert load_batch(catalog, store, "first", words=False).passed_over["scores"] == 2


def test_a_rebuild_gives_the_same_rows_and_keeps_decisions(empty_database: Engine, store: Store) -> None:
    from podcast_assets.catalog.migrate import migrate

    for batch in ("first", "second"):
        commit_filled_batch(store, batch)
    migrate(empty_database)
    load_batches(empty_database, store, words=True)
    expected = everything(empty_database)
    with empty_database.begin() as connection:
        connection.execute(text("DROP SCHEMA podcast_catalog CASCADE"))
    migrate(empty_database)
    load_batches(empty_database, store, words=True)
    assert everything(empty_database) == expected
    with empty_database.begin() as connection:
        connection.execute(insert(DECISIONS).values(episode_id="first-one", action="label", decided_by="me"))
        # what should not be there, and what is missing
        connection.execute(SEGMENTS.update().values(text="something else"))
        connection.execute(SCORES.delete())
        connection.execute(PODCASTS.update().values(title="x"))
    forget_versions(empty_database)
    load_batches(empty_database, store, words=True)
    found = everything(empty_database)
    assert [row["action"] for row in found[DECISIONS.name]] == ["label"]
    assert {name: rows for name, rows in found.items() if name != DECISIONS.name} == {
        name: rows for name, rows in expected.items() if name != DECISIONS.name
    }


def test_every_column_of_the_store_has_its_place_or_a_reason() -> None:
    left_out = {
        # of episodes: how one channel was made, and hashes of what a URL gave before
        "downmix", "retimed", "earlier_sha256",
        # of segments: rows of their own, or under another name
        "words", "engine", "degraded", "fingerprint", "compared",
        # in the segment already
        "segment_index", "episode_id",
    }  # fmt: skip
    assert set(RAW_AUDIO) - left_out - {c.name for c in EPISODES.columns} == set()
    assert set(TRANSCRIPTS) - left_out - {c.name for c in SEGMENTS.columns} == set()
    both = {c.name for table in (SCORES, SEGMENTS) for c in table.columns}
    assert set(QUALITY_SCORES) - left_out - both == set()


def test_what_people_said_is_marked_as_kept() -> None:
    assert [table.name for table in kept_tables()] == ["audit", "decisions", "samples", "tokens", "users"]
    assert not BATCHES.info.get("kept")


def test_flags_are_loaded_with_when_they_were_judged(
    catalog: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_filled_batch(store, "first")
    read = load.read_source

    def with_flags(*arguments: Any) -> SourceTables:
        source = read(*arguments)
        now = datetime.datetime.now(datetime.UTC)
        old = now - datetime.timedelta(hours=25)
        provenance = source.provenance["transcripts"].with_columns(
            finished_at=pl.when(pl.col("episode_id") == "first-one").then(pl.lit(now)).otherwise(pl.lit(old))
        )
        return dataclasses.replace(
            source,
            tables={**source.tables, "content_flags": content_flags(source.tables["diarized_segments"])},
            provenance={**source.provenance, "content_flags": provenance},
        )

    monkeypatch.setattr(load, "read_source", with_flags)
    monkeypatch.setattr(rows, "TABLE_STAGES", {**TABLE_STAGES, "content_flags": "moderate"})
    loaded = load_batch(catalog, store, "first", words=False)
    assert loaded.rows["content_flags"] == 8
    with catalog.connect() as connection:
        queue = connection.execute(
            text("SELECT episode_id, verdict, segment_ids, duration FROM podcast_catalog.ra_queue")
        ).all()
        assert [tuple(row) for row in queue] == [("first-one", "flagged", ["first-one-000000000-000003000"], 12.0)], (
            "those of the last 24 hours, with the episode's duration"
        )
        flagged = text("SELECT count(*) FROM podcast_catalog.classifications WHERE flagged")
        assert connection.scalar(flagged) == 2
        stats = text("SELECT sum(moderated), sum(flags) FROM podcast_catalog.daily_stats")
        assert tuple(connection.execute(stats).one()) == (2, 2)
