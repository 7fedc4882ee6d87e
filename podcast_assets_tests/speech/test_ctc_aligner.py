"""The engine with models of random weights: they load and compute, and the times that come of them mean nothing."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import make_engine
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.aligners.alignment import align_transcripts, split_words, words_without_times
from podcast_assets.speech.aligners.ctc.engine import MMS, OMNILINGUAL, PUBLISHED, Ctc, normalize, read_alphabet
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Transcript, Turn

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")

from tools.random_models import ctc as random_ctc


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_ctc.make(tmp_path_factory.mktemp("omnilingual"))


@pytest.fixture(scope="module")
def mms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_ctc.make_mms(tmp_path_factory.mktemp("mms"))


def engine(folder: Path, **settings: object) -> Ctc:
    made = make_engine("aligner", "ctc", model=str(folder), threads=1, **settings)
    assert isinstance(made, Ctc)
    return made


def noise(seconds: float) -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("seconds", [2.0, 65.0])
@pytest.mark.parametrize("kind", ["folder", "mms"])
def test_every_word_has_a_time_in_order_inside_the_audio(kind: str, seconds: float, request: pytest.FixtureRequest):
    text = "The quick brown fox doesn't jump."
    words = engine(request.getfixturevalue(kind)).load().align(noise(seconds), text, "en")
    assert [w.word for w in words] == split_words(text)
    times = [t for w in words for t in (w.start, w.end) if t is not None]
    assert len(times) == 2 * len(words)
    assert times == sorted(times)
    assert all(0 <= t <= seconds for t in times)
    assert all(round(t * 50, 6).is_integer() for t in times)
    assert all(w.probability is not None and 0 < w.probability <= 1 for w in words)


def test_several_scripts_in_one_text(folder: Path, mms: Path):
    text = "Größe привет 你好 42"
    found = [w.start is not None for w in engine(folder).load().align(noise(3.0), text, None)]
    assert found == [True, True, True, True, False]
    found = [w.start is not None for w in engine(mms).load().align(noise(3.0), text, None)]
    assert found == [True, False, False, False, False]


def test_uroman_writes_other_scripts_in_latin_letters(mms: Path):
    pytest.importorskip("uroman", reason="needs the extra align")
    aligner = engine(mms, romanize=True)
    found = [w.start is not None for w in aligner.load().align(noise(3.0), "привет 你好 42", None)]
    assert found == [True, True, True, False]
    assert "uroman" in aligner.versions()
    assert aligner.identity() != engine(mms).identity()


def test_without_uroman_the_message_says_what_to_install(mms: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uroman", None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'podcast-assets\[align\]'"):
        engine(mms, romanize=True).load()
    assert engine(mms).load()


def test_transcripts_without_words_get_them(folder: Path):
    turns = [Turn(1.0, 3.0, "A"), Turn(3.0, 4.0, "B"), Turn(4.0, 4.01, "B")]
    transcripts = [Transcript("hello there", language="en"), Transcript(""), Transcript("too short", language="en")]
    first, second, third = align_transcripts(engine(folder).load(), noise(5.0), turns, transcripts)
    assert all(w.start is not None and w.end is not None and 1.0 <= w.start < w.end <= 3.0 for w in first.words)
    assert second is transcripts[1]
    assert third.words == words_without_times(["too", "short"])
    assert third.flags == ("unaligned",)


def test_loudness_does_not_matter():
    audio = noise(1.0)
    assert np.allclose(normalize(audio * 0.2 + 0.1), normalize(audio), atol=1e-2)
    assert np.isfinite(normalize(np.zeros(400, np.float32))).all()


def test_a_model_of_the_hub_is_fetched_and_then_found(folder: Path, monkeypatch: pytest.MonkeyPatch):
    fetched: list[HubModel] = []
    monkeypatch.setattr(models, "find_model", lambda model: folder if fetched else None)
    monkeypatch.setattr(models, "fetch_model", lambda model: fetched.append(model) or folder)
    aligner = make_engine("aligner", "ctc", threads=1)
    assert aligner.hub_models() == [PUBLISHED[OMNILINGUAL]]
    assert aligner.model_files() == []
    assert aligner.load().align(noise(1.0), "hello", "en")[0].start is not None
    assert fetched == [PUBLISHED[OMNILINGUAL]]
    assert [f.name for f in aligner.model_files()] == ["model.int8.onnx", "tokens.txt"]
    assert aligner.identity()["model"]


@pytest.mark.parametrize(("repo", "maker"), [(OMNILINGUAL, random_ctc.make), (MMS, random_ctc.make_mms)])
def test_the_files_of_a_published_model_are_all_that_is_read(repo: str, maker, tmp_path: Path):
    folder = maker(tmp_path / "model")
    files = {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}
    assert files == set(PUBLISHED[repo].files)
    assert {str(f.relative_to(folder)) for f in engine(folder).model_files()} == files


def test_the_model_is_known_by_its_content(folder: Path, tmp_path: Path):
    same, other = random_ctc.make(tmp_path / "same"), random_ctc.make(tmp_path / "other", seed=1)
    assert engine(same, device="auto").identity() == engine(folder).identity()
    assert engine(other).identity() != engine(folder).identity()


def test_what_is_missing_is_named(tmp_path: Path):
    lacking = tmp_path / "lacking"
    for name, message in (
        ("nowhere", "is neither a folder nor a model that ctc knows"),
        ("lacking", "has no model.onnx and no vocab.json or tokens.txt"),
    ):
        with pytest.raises(EngineUnavailable, match=message):
            engine(tmp_path / name).load()
        lacking.mkdir(exist_ok=True)
    (lacking / "model.onnx").write_bytes(b"no graph")
    (lacking / "tokens.txt").write_text("<s> 0\na 1\n")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        engine(lacking).load()


def test_a_published_model_that_is_not_downloaded_yet_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(models, "find_model", lambda model: None)
    assert Ctc().unavailable_reason() is None


def test_a_vocabulary_of_another_model_is_told(folder: Path, tmp_path: Path):
    mixed = random_ctc.make(tmp_path / "mixed")
    letters = (folder / "tokens.txt").read_text(encoding="utf-8")
    (mixed / "tokens.txt").write_text(f"{letters}ø 999\n", encoding="utf-8")
    with pytest.raises(ValueError, match="its vocabulary has 1000"):
        engine(mixed).load().align(noise(1.0), "hello", "en")


@pytest.mark.parametrize(
    ("name", "content", "blank"),
    [
        ("vocab.json", json.dumps({"<blank>": 0, "<pad>": 1, "a": 2}), 0),
        ("vocab.json", json.dumps({"<pad>": 0, "<s>": 1, "|": 2, "A": 3}), 0),
        ("vocab.json", json.dumps({"a": 0, "|": 1, "[UNK]": 2, "[PAD]": 3}), 3),
        ("vocab.json", json.dumps({"a": 0, "<unk>": 1, "<pad>": 2}), 2),
        ("tokens.txt", "<s> 0\n<pad> 1\n</s> 2\n<unk> 3\n  4\na 5\n", 0),
        ("tokens.txt", "a 0\n<blk> 1", 1),
    ],
)
def test_the_blank_is_found_in_the_vocabularies_of_several_models(tmp_path: Path, name: str, content: str, blank: int):
    (tmp_path / name).write_text(content, encoding="utf-8")
    alphabet = read_alphabet(tmp_path / name)
    assert alphabet.blank == blank
    assert {"a", "A"} & set(alphabet.letters)
    assert not any(len(letter) != 1 for letter in alphabet.letters)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", "{"),
        ("vocab.json", "[]"),
        ("vocab.json", '{"a": 0}'),
        ("tokens.txt", "a\n"),
        ("tokens.txt", "<s> 0\n"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(EngineUnavailable, match=name):
        read_alphabet(tmp_path / name)
