"""Marks and capitals put into texts: by a loaded model of the real files, and never at the cost of a word."""

import sys
from pathlib import Path

import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import make_engine
from podcast_assets.quality.punctuators.pcs import PcsPunctuator
from podcast_assets.quality.punctuators.punctuation import (
    PieceMarks,
    apply_marks,
    has_punctuation,
    same_words,
    to_plain_text,
)
from podcast_assets_tests.fixtures import punctuation_folder
from podcast_assets_tests.fixtures.punctuation_folder import WORD


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return punctuation_folder.make(
        tmp_path_factory.mktemp("pcs"),
        after={
            f"{WORD}berlin": ",",
            f"{WORD}today": "?",
            "史": "。",
            "城": "。",
            f"{WORD}usa": "<ACRONYM>",
            f"{WORD}wat": ".",
        },
        before={f"{WORD}how": "¿"},
        capitals={f"{WORD}berlin": 1, f"{WORD}how": 1, f"{WORD}usa": 1, f"{WORD}istanbul": 1},
    )


def loaded(folder: Path, **settings: object) -> PcsPunctuator:
    return make_engine("punctuator", "pcs", model=str(folder), device="cpu", threads=1, **settings).load()


def punctuate(folder: Path, text: str, language: str | None = "en", **settings: object) -> str | None:
    return loaded(folder, **settings).punctuate([text], [language])[0]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("we talk in berlin how are you today", "en", "we talk in Berlin, ¿How are you today?"),
        ("WE TALK IN BERLIN", "en", "we talk in Berlin,"),
        ("we TALK  in berlin", "en", "we TALK  in Berlin,"),  # capitals and spaces that are there stay
        ("the usa today", "en", "the U.s.a. today?"),
        ("water", "en", "water"),  # a mark inside of a word would make two of it
        ("我们讨论城市的历史", "zh", "我们讨论城。市的历史。"),
        ("istanbul berlin", "tr", "İstanbul Berlin,"),
        ("IŞIK", "tr", "\u0131ş\u0131k"),
        ("½ ﬁn berlin", "en", "½ ﬁn Berlin,"),  # the model reads other letters than these
        ("we talk, in berlin", "en", "we talk, in berlin"),  # the recognizer's own marks are better
        ("3.5 berlin", "en", "3.5 Berlin,"),
        ("", "en", ""),
        ("in berlin today", "de", None),
        ("in berlin today", None, None),
    ],
)
def test_texts(folder: Path, text: str, language: str | None, expected: str | None) -> None:
    assert punctuate(folder, text, language) == expected
    assert expected is None or same_words(text, expected)


def test_many_texts_in_batches_and_windows_are_as_each_alone(tmp_path: Path) -> None:
    """The model looks at single tokens, so that windows must not be seen in what comes out."""
    folder = punctuation_folder.make(
        tmp_path, after={f"{WORD}berlin": ",", f"{WORD}today": "?"}, capitals={f"{WORD}berlin": 1}, longest=20
    )
    lengths = [1, 2, 3, 5, 8, 13, 40, 100, 257]
    texts = [" ".join("berlin" if i % 3 else "today" for i in range(n)) for n in lengths]
    expected = [" ".join("Berlin," if i % 3 else "today?" for i in range(n)) for n in lengths]
    for batch_tokens in (1, 50, 4096):
        assert loaded(folder, batch_tokens=batch_tokens).punctuate(texts, ["en"] * len(texts)) == expected


def test_nothing_to_do_is_no_work(folder: Path) -> None:
    assert loaded(folder).punctuate([], []) == []


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        ("we talk about it", "We talk about it.", True),
        ("its fine", "it's fine", True),
        ("we talk about it", "we talk of it", False),
        ("we talk", "wetalk", False),
        ("wetalk", "we. talk", False),
        ("we talk", "we talk talk", False),
        ("ΟΔΟΣ", "Οδος.", True),
        ("3 5", "35", False),
        ("नमस्ते", "नमसते", False),  # signs of vowels are letters
    ],
)
def test_the_same_words(text: str, other: str, same: bool) -> None:
    assert same_words(text, other) is same


@pytest.mark.parametrize(
    ("text", "some"),
    [("hello", False), ("hello.", True), ("1,000 and 3.5", False), ("it's 5-6", False), ("你好。", True)],
)
def test_marks_of_sentences(text: str, some: bool) -> None:
    assert has_punctuation(text) is some


def test_places_in_a_text_stay_the_same_in_small_letters() -> None:
    for text, language in (("İZMİR IŞIK", "tr"), ("İzmir", "en"), ("ΟΔΟΣ", "el"), ("STRASSE", "de")):
        assert len(to_plain_text(text, language)) == len(text)
    assert to_plain_text("ΟΔΟΣ", "el") == "οδος"


def test_pieces_that_leave_something_out_lose_nothing() -> None:
    assert (
        apply_marks("one two three", [PieceMarks(4, 7, after=",", capitals=[True, False, False])], "en")
        == "one Two, three"
    )


def test_what_is_missing_or_wrong_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine("punctuator", "pcs", model=str(tmp_path))
    with pytest.raises(EngineUnavailable, match=r"it has no config.yaml and no model.onnx and no sp.model"):
        engine.load()
    assert "not a complete model for pcs" in (engine.unavailable_reason() or "")
    other = punctuation_folder.make(tmp_path / "other", after={}, outputs=2)
    with pytest.raises(EngineUnavailable, match="takes input_ids and gives pre_preds, post_preds"):
        loaded(other)
    (other / "config.yaml").write_text("languages: [en]")
    with pytest.raises(EngineUnavailable, match=r"config.yaml cannot be read: KeyError: 'pre_labels'"):
        loaded(other)
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'podcast-assets\[punctuation\]'"):
        loaded(folder)


def test_another_model_is_another_identity(folder: Path, tmp_path: Path) -> None:
    other = punctuation_folder.make(tmp_path, after={f"{WORD}berlin": "."})
    first, second = (make_engine("punctuator", "pcs", model=str(f)).identity() for f in (folder, other))
    assert first["model"] != second["model"]
    assert first["settings"] == second["settings"] == {}
