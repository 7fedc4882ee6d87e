"""A second recognizer, by the command: it changes no transcript, runs once, and tells where the two disagree."""

import polars as pl

from podcast_assets.store.schema import PROVENANCE, QUALITY_SCORES, SECOND_OPINIONS, TRANSCRIPTS, Columns
from podcast_assets.store.store import provenance_key, table_key
from podcast_assets_tests.conftest import Place

SECOND = {"PODCAST_SECOND_TRANSCRIBER": "en=pocketsphinx"}


def run(place: Place, **environment: str) -> None:
    result = place.command("backfill", "one", "--here", "--profile", "demo", **environment)
    assert result.returncode == 0, result.stderr


def read(place: Place, key: str, columns: Columns) -> pl.DataFrame:
    found = place.store.read_table(key, columns)
    assert found is not None
    return found


def test_a_second_recognizer_is_heard_once(clip_copy: Place) -> None:
    place = clip_copy
    transcripts = place.store.path(table_key("transcripts", "one")).read_bytes()
    scores = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    assert scores["second_wer"].null_count() == scores.height
    assert not place.store.exists(table_key("second_opinions", "one"))

    run(place, **SECOND)
    assert place.store.path(table_key("transcripts", "one")).read_bytes() == transcripts
    texts = read(place, table_key("transcripts", "one"), TRANSCRIPTS)
    opinions = read(place, table_key("second_opinions", "one"), SECOND_OPINIONS)
    assert opinions["segment_id"].to_list() == texts["segment_id"].to_list()
    assert opinions["engine"].unique().to_list() == ["pocketsphinx"]
    scores = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    agreed = scores["second_wer"].drop_nulls()
    assert len(agreed) > 0.8 * scores.height
    assert 0.05 < agreed.mean() < 0.9  # type: ignore[operator]

    finished = read(place, provenance_key("second", "one"), PROVENANCE)
    run(place, **SECOND)
    assert read(place, provenance_key("second", "one"), PROVENANCE).equals(finished), "to run it again is to take it"
    run(place)
    again = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    assert again["second_wer"].equals(scores["second_wer"]), "what it said stays known"
