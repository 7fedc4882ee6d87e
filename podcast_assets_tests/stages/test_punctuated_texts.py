"""Punctuation by the command: a column beside the text, made once for each text, and not again when the policy changes."""

from pathlib import Path

import polars as pl
import pytest

from podcast_assets.quality.punctuators.punctuation import same_words
from podcast_assets.store.schema import HF_SHARDS, PROVENANCE, PUNCTUATED_TEXTS, QUALITY_SCORES, TRANSCRIPTS, Columns
from podcast_assets.store.store import provenance_key, table_key
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.fixtures import punctuation_folder
from podcast_assets_tests.fixtures.punctuation_folder import WORD
from podcast_assets_tests.short_clip import drop_clip

WITHOUT_MARKS = {"PODCAST_LANGUAGE": "en", "PODCAST_DIARIZER": "embedded", "PODCAST_ROUTES": "*=pocketsphinx"}
"""pocketsphinx writes no punctuation."""


def settings(folder: Path) -> dict[str, str]:
    return WITHOUT_MARKS | {
        "PODCAST_TEXT_CARE": "punctuation",
        "PODCAST_ENGINES": f'{{"pcs": {{"model": "{folder}", "device": "cpu"}}}}',
    }


def run(place: Place, **environment: str) -> None:
    result = place.command("backfill", "one", "--here", "--profile", "cpu", **environment)
    assert result.returncode == 0, result.stderr


def read(place: Place, key: str, columns: Columns) -> pl.DataFrame:
    found = place.store.read_table(key, columns)
    assert found is not None
    return found


@pytest.mark.usefixtures("dagster_home")
def test_texts_are_punctuated_once(place: Place) -> None:
    drop_clip(place.store, "one")
    model = punctuation_folder.make(place.folder / "pcs", after={f"{WORD}water": ","}, capitals={f"{WORD}water": 1})
    run(place, **settings(model))
    transcripts = place.store.path(table_key("transcripts", "one")).read_bytes()
    texts = read(place, table_key("transcripts", "one"), TRANSCRIPTS).select("segment_id", "text")
    shards = read(place, table_key("hf_shards", "one"), HF_SHARDS).select("segment_id", shown="text_punctuated")
    scores = read(place, table_key("quality_scores", "one"), QUALITY_SCORES).join(texts, on="segment_id")
    both = scores.join(shards, on="segment_id").select("text", "text_punctuated", "shown")
    assert all(same_words(text, new) and new == shown for text, new, shown in both.iter_rows())
    assert any("Water," in new for new in both["text_punctuated"])
    made = read(place, provenance_key("punctuate", "one"), PROVENANCE)
    scored = read(place, provenance_key("score", "one"), PROVENANCE)

    run(place, **settings(model), PODCAST_POLICY="all")
    assert read(place, provenance_key("punctuate", "one"), PROVENANCE).equals(made), "another policy re-runs no model"
    assert read(place, provenance_key("score", "one"), PROVENANCE).equals(scored)
    again = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    assert again["policy"][0] != scores["policy"][0]
    assert again["text_punctuated"].equals(scores["text_punctuated"])

    punctuation_folder.make(model, after={f"{WORD}water": "?"})
    run(place, **settings(model))
    changed = read(place, table_key("punctuated_texts", "one"), PUNCTUATED_TEXTS)["text_punctuated"].drop_nulls()
    assert any("water?" in new for new in changed)
    assert read(place, provenance_key("score", "one"), PROVENANCE).equals(scored)

    run(place, **WITHOUT_MARKS)
    off = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    assert off["text_punctuated"].null_count() == off.height, "not asked for"
    assert place.store.path(table_key("transcripts", "one")).read_bytes() == transcripts
