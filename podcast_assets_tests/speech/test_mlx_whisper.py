"""The transcriber mlx-whisper against a stub of its library, which computes on Apple silicon only. The stub recognizes nothing:
what it returns has the shape of the library's results."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines.availability import check_available
from podcast_assets.speech.transcribers.mlx_whisper import MlxWhisper
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Turn


class StubOfMlxWhisper:
    """Stub of the packages `mlx` and `mlx_whisper` 0.4.3: remembers calls, and returns a segment per call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[tuple[str, str]] = []
        self.calls: list[dict[str, Any]] = []
        self.without_word_times = False
        library, inner, mlx, core = (
            ModuleType(name) for name in ("mlx_whisper", "mlx_whisper.transcribe", "mlx", "mlx.core")
        )
        core.float16, core.float32 = "float16", "float32"  # type: ignore[attr-defined]
        mlx.core = core  # type: ignore[attr-defined]
        inner.ModelHolder = SimpleNamespace(get_model=lambda path, dtype: self.loaded.append((path, dtype)))  # type: ignore[attr-defined]
        library.transcribe = self.transcribe  # type: ignore[attr-defined]  # the function hides the module, as in the library
        for module in (library, inner, mlx, core):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def transcribe(self, audio: Any, **options: Any) -> dict[str, Any]:
        self.calls.append(options | {"seconds": len(audio) / SAMPLE_RATE})
        texts = [" some", " thing"]
        words = [
            {"word": text, "start": np.float64(0.1 + i), "end": np.float64(0.6 + i), "probability": np.float64(0.5)}
            for i, text in enumerate(texts)
        ]
        segment = {
            "id": 0, "seek": 0, "start": 0.0, "end": 2.0, "text": "".join(texts), "tokens": [1, 2], "temperature": 0.2,
            "avg_logprob": -0.25, "compression_ratio": 0.9, "no_speech_prob": 0.125,
            "words": [] if self.without_word_times else words,
        }  # fmt: skip
        return {"text": segment["text"], "segments": [segment], "language": options["language"]}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> StubOfMlxWhisper:
    return StubOfMlxWhisper(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path, 51_866)


def make_folder(folder: Path, vocabulary: int) -> Path:
    (folder / "config.json").write_text(json.dumps({"n_vocab": vocabulary}))
    (folder / "weights.safetensors").write_bytes(b"weights")
    return folder


def transcribe(engine: MlxWhisper, turns: Sequence[Turn], language: str | None = "de", **more: Any) -> Any:
    audio = np.random.default_rng(0).normal(0, 0.1, 40 * SAMPLE_RATE).astype(np.float32)
    (result,) = engine.load().transcribe([EpisodeSpeech("e", audio, turns, language, **more)])
    return result.transcripts


def test_turns_get_the_words_and_figures_of_the_library(library: StubOfMlxWhisper, folder: Path) -> None:
    engine = MlxWhisper(model=str(folder), initial_prompt="Well.")
    first, second = transcribe(engine, [Turn(0.0, 3.0, "A"), Turn(10.0, 14.0, "B")], hints="Ann Bee")
    assert library.loaded == [(str(folder), "float16")]
    assert [(w.word, w.start, w.end, w.probability) for w in second.words] == [
        ("some", 10.1, 10.6, 0.5),
        ("thing", 11.1, 11.6, 0.5),
    ]
    assert (first.text, first.language, first.engine) == ("some thing", "de", "mlx-whisper")
    assert (first.avg_logprob, first.no_speech_prob, first.temperature) == (-0.25, 0.125, 0.2)
    call = library.calls[0]
    assert (call["path_or_hf_repo"], call["language"], call["initial_prompt"]) == (str(folder), "de", "Well. Ann Bee")
    assert (call["word_timestamps"], call["without_timestamps"]) == (True, True)
    assert call["condition_on_previous_text"] is False


def test_turns_of_a_speaker_share_a_window_and_none_is_longer_than_the_models(
    library: StubOfMlxWhisper, folder: Path
) -> None:
    transcribe(MlxWhisper(model=str(folder)), [Turn(0.0, 1.0, "A"), Turn(1.5, 2.5, "A"), Turn(3.0, 39.0, "B")])
    assert len(library.calls) == 3
    assert max(call["seconds"] for call in library.calls) <= 30.0


def test_a_text_without_word_times_is_kept(library: StubOfMlxWhisper, folder: Path) -> None:
    library.without_word_times = True
    (transcript,) = transcribe(MlxWhisper(model=str(folder)), [Turn(0.0, 3.0, "A")], timestamps=True)
    assert (transcript.text, transcript.words[0].start) == ("some thing", None)
    assert library.calls[0]["without_timestamps"] is False


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("language", "reason"), [(None, "needs the language"), ("de", "does not support the language 'de'")]
)
def test_a_language_that_it_cannot_write_is_the_episodes_error(
    tmp_path: Path, language: str | None, reason: str
) -> None:
    engine = MlxWhisper(model=str(make_folder(tmp_path, 51_864)))  # tiny.en and its like
    error = transcribe(engine, [Turn(0.0, 3.0, "A")], language)
    assert isinstance(error, BadInput)
    assert reason in str(error)
    assert transcribe(engine, [Turn(0.0, 3.0, "A")], "en")[0].text


@pytest.mark.usefixtures("library")
def test_an_incomplete_folder_is_refused_by_name(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    with pytest.raises(EngineUnavailable, match=r"it needs config.json, and weights.safetensors or weights.npz"):
        MlxWhisper(model=str(folder)).load()


def test_the_weights_are_part_of_the_identity(folder: Path) -> None:
    engine = MlxWhisper(model=str(folder))
    before = engine.identity()
    (folder / "weights.safetensors").write_bytes(b"others")
    assert engine.identity() != before


@pytest.mark.skipif(sys.platform == "darwin", reason="says what is missing elsewhere")
def test_it_says_what_is_missing(folder: Path) -> None:
    assert check_available(MlxWhisper(model=str(folder))) == (
        False,
        "mlx-whisper needs mlx-whisper, mlx: pip install 'podcast-assets[mlx]'",
    )
    assert "Apple silicon" in (MlxWhisper().unavailable_reason() or "")
    with pytest.raises(EngineUnavailable, match="large-v3-turbo"):
        MlxWhisper(model="enormous").hub_models()
