"""Another model for the language of texts, by the command: the column and what is judged by it change; nothing is heard again."""

import polars as pl
import pytest

from podcast_assets.store.schema import PROVENANCE, QUALITY_SCORES, TRANSCRIPTS, Columns
from podcast_assets.store.store import provenance_key, table_key
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.fixtures.fasttext_model import write_model
from podcast_assets_tests.short_clip import drop_clip

WORDS = "the a of and to in is it we you that water".split()


def run(place: Place, **environment: str) -> None:
    result = place.command("backfill", "one", "--here", "--profile", "demo", **environment)
    assert result.returncode == 0, result.stderr


def read(place: Place, key: str, columns: Columns) -> pl.DataFrame:
    found = place.store.read_table(key, columns)
    assert found is not None
    return found


def test_another_model_changes_the_column_and_transcribes_nothing(clip_copy: Place) -> None:
    place = clip_copy
    model = write_model(place.folder / "lid.bin", {"eng_Latn": WORDS, "deu_Latn": ["der", "die", "das"]})
    setting = {"PODCAST_TEXT_LANGUAGE_MODEL": str(model)}
    run(place, **setting)
    texts = read(place, table_key("transcripts", "one"), TRANSCRIPTS)
    assert texts["text_language"].drop_nulls().unique().to_list() == ["en"]
    stages = ("transcribe", "score", "package")
    heard = {stage: read(place, provenance_key(stage, "one"), PROVENANCE) for stage in stages}

    write_model(model, {"eng_Latn": ["der", "die", "das"], "deu_Latn": WORDS})
    run(place, **setting)
    for stage, before in heard.items():
        assert read(place, provenance_key(stage, "one"), PROVENANCE).equals(before), f"{stage} ran again"
    again = read(place, table_key("transcripts", "one"), TRANSCRIPTS)
    assert again["text_language"].drop_nulls().unique().to_list() == ["de"]
    assert again.drop("text_language").equals(texts.drop("text_language"))
    scores = read(place, table_key("quality_scores", "one"), QUALITY_SCORES)
    foreign = scores.filter(pl.col("text_flags").list.contains("wrong_language"))
    assert foreign.height == again["text_language"].count() > 0


@pytest.mark.usefixtures("dagster_home")
def test_a_model_that_is_not_there_is_told_before_anything_is_transcribed(place: Place) -> None:
    drop_clip(place.store, "one", 5)
    result = place.command(
        "backfill", "one", "--here", "--profile", "demo", PODCAST_TEXT_LANGUAGE_MODEL="/nowhere/lid.176.bin"
    )
    assert result.returncode != 0
    assert "PODCAST_TEXT_LANGUAGE_MODEL=/nowhere/lid.176.bin: there is no such file" in result.stderr
    assert not place.store.exists(table_key("transcripts", "one"))
    assert not place.store.exists("checkpoints/transcribe/one")
