"""Parakeet through onnx-asr, with a model of random weights: its words mean nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.transcribers.parakeet.engine import LANGUAGES, Parakeet
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Turn

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")
onnx_asr = pytest.importorskip("onnx_asr", reason="needs the extra onnx")

from tools.random_models import parakeet  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parakeet.make(tmp_path_factory.mktemp("parakeet"))


def noise(seconds: float, seed: int) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 6])
def test_the_batch_decoder_gives_what_the_library_gives_one_by_one(tmp_path: Path, seed: int) -> None:
    from podcast_assets.speech.transcribers.parakeet.model import ParakeetModel

    folder = parakeet.make(tmp_path, seed=seed)
    windows = [noise(seconds, i) for i, seconds in enumerate((3.0, 0.05, 1.1, 6.4))]
    library = onnx_asr.load_model("nemo-conformer-tdt", folder, providers=["CPUExecutionProvider"]).with_timestamps()
    worker: Any = Parakeet(model=str(folder), device="cpu").load()
    model: ParakeetModel = worker._model
    for tokens, expected in zip(model.recognize(windows), library.recognize(windows), strict=True):
        assert [t.text for t in tokens] == expected.tokens
        assert [t.start for t in tokens] == pytest.approx(expected.timestamps)
        assert all((t.end or 0) - (t.start or 0) > 0.0799 for t in tokens)
        assert [t.logprob for t in tokens] == pytest.approx(expected.logprobs, rel=1e-4, abs=1e-5)


def test_words_have_times_on_the_frames_of_the_encoder_and_probabilities(folder: Path) -> None:
    worker: Any = Parakeet(model=str(folder), device="cpu").load()
    (heard,) = worker.transcribe([EpisodeSpeech("e", noise(9.0, 1), [Turn(1.0, 7.0, "A")], "fr")])
    (transcript,) = heard.transcripts
    assert len(transcript.words) > 5
    for word in transcript.words[:-1]:
        assert (word.start * 100) % 8 == pytest.approx(100 % 8)
        assert word.end - word.start >= 0.08 - 1e-9 or word.end == word.start
        assert 0 < word.probability <= 1
    assert transcript.avg_logprob < 0


def test_turns_that_touch_are_heard_with_context_and_each_word_is_in_one(folder: Path) -> None:
    worker: Any = Parakeet(model=str(folder), device="cpu").load()
    before, after = Turn(1.0, 4.0, "A"), Turn(4.0, 7.0, "B")
    speech = EpisodeSpeech("e", noise(9.0, 1), [before, after], "fr")
    heard = [(w.window.pieces[0].start, w.window.pieces[0].end) for w in Parakeet(model=str(folder)).plan(speech)]
    assert heard == [(16_000, 67_200), (60_800, 112_000)]  # 0.2 s more at the edge in common
    (result,) = worker.transcribe([speech])
    for turn, transcript in zip((before, after), result.transcripts, strict=True):
        assert transcript.words
        assert all(turn.start <= w.start <= w.end <= turn.end for w in transcript.words)


def test_quantized_files_are_taken_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = parakeet.make(tmp_path, quantization="int8")
    engine = Parakeet(model=str(folder), quantization="int8", device="cpu")
    engine.load()
    assert {f.name for f in engine.model_files()} == {
        "config.json",
        "vocab.txt",
        "encoder-model.int8.onnx",
        "decoder_joint-model.int8.onnx",
    }


def test_each_gpu_can_be_held_where_onnx_runtime_computes_on_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ctranslate2
    import onnxruntime

    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 2)
    assert Parakeet(model=str(folder)).devices() == ["cuda:0", "cuda:1"]
    assert Parakeet(model=str(folder), device="cpu").devices() == []
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 0)
    assert Parakeet(model=str(folder)).devices() == []


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_is_not_used_after_all_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime goes on with the CPU where it lacks CUDA's libraries."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime computes on GPUs")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(EngineUnavailable, match="CUDA libraries"):
        Parakeet(model=str(folder), device="cuda").load("cuda:0")


def test_versions_name_what_computes(folder: Path) -> None:
    assert set(Parakeet(model=str(folder)).versions()) == {"onnx-asr", "onnxruntime"}


@pytest.mark.parametrize(
    ("settings", "languages"),
    [
        ({}, LANGUAGES),
        ({"model": "istupakov/parakeet-tdt-0.6b-v2-onnx"}, ("en",)),
        ({"model": "/models/parakeet-tdt-0.6b-v2"}, ("en",)),
        ({"model": "/models-v2/parakeet"}, LANGUAGES),
        ({"model": "/models/parakeet-tdt-0.6b-v2", "languages": ["fi", "et"]}, ("et", "fi")),
    ],
)
def test_languages_are_those_of_the_version_unless_they_are_set(
    settings: dict[str, Any], languages: tuple[str, ...]
) -> None:
    engine = make_engine("transcriber", "parakeet", **settings)
    assert isinstance(engine, Parakeet)
    assert engine.languages == languages
    assert len(LANGUAGES) == 25
