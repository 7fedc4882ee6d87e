"""Punctuation as a stage: once for each text, and nothing where the engine changed a word or does not know the language."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.quality.punctuators.pcs import Pcs
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.punctuate import TEXT_COLUMNS, Punctuate
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.stage import Episode
from podcast_assets.store.schema import PUNCTUATED_TEXTS, schema
from podcast_assets.store.store import Store


class Scripted(Engine):
    """Says what it is told to, and writes down what it was asked."""

    name: ClassVar[str] = "scripted"
    asked: ClassVar[list[str]] = []

    def load(self, device: str | None = None) -> "Scripted":
        return self

    def punctuate(self, texts: Sequence[str], languages: Sequence[str | None]) -> list[str | None]:
        self.asked.extend(texts)
        made = {"hello there": "Hello there.", "we met": "We have met."}
        return [made.get(t, t) if language else None for t, language in zip(texts, languages, strict=True)]


def episode(name: str, **texts: tuple[str, str | None]) -> Episode:
    rows = [(key, i, text, language) for i, (key, (text, language)) in enumerate(texts.items())]
    types = {"segment_id": pl.String, "segment_index": pl.Int32, "text": pl.String, "language": pl.String}
    return Episode(
        name, f"{name}.mp3", 60.0, {"texts": pl.DataFrame(rows, schema=types, orient="row").select(TEXT_COLUMNS)}
    )


def commit(store: Store, *episodes: Episode) -> tuple[int, pl.DataFrame]:
    """Episodes that were done, and the table."""
    stage = Punctuate(Scripted())
    run = run_stage(stage, "one", list(episodes), store, Local(stage, 2))
    table = run.table()
    run.commit(store, table)
    return run.ran, table


def test_only_changed_texts_are_asked_for_and_words_are_never_changed(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    first = episode("a", s1=("hello there", "en"), s2=("we met", "en"), s3=("hello there", None), s4=("", "en"))
    _, table = commit(store, first, episode("b", t1=("bye", "en")))
    assert table.schema == schema(PUNCTUATED_TEXTS)
    assert table["text_punctuated"].to_list() == ["Hello there.", None, None, "", "bye"]
    assert table["segment_id"].to_list() == ["s1", "s2", "s3", "s4", "t1"]
    assert set(table["engine"]) == {"scripted"}
    Scripted.asked.clear()
    assert commit(store, first, episode("b", t1=("bye", "en")))[0] == 0
    assert commit(store, first, episode("b", t1=("hello there", "en")))[0] == 1
    assert Scripted.asked == ["hello there"]


def test_a_model_that_is_not_there_is_told_before_anything_is_done(tmp_path: Path) -> None:
    stage = Punctuate(Pcs(model=str(tmp_path / "none"), device="cpu"))
    with pytest.raises(
        EngineUnavailable, match=r"is not a complete model for pcs: it has no config.yaml and no model.onnx"
    ):
        run_stage(stage, "one", [episode("a", s1=("hello there", "en"))], Store.at(tmp_path), Local(stage, 2))
