"""FireRedASR through sherpa-onnx, with a model of random weights: its words mean nothing."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.speech.transcribers.firered import FireRed
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Turn

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")
pytest.importorskip("sherpa_onnx", reason="needs the extra onnx")

from tools.random_models import firered


def noise(seconds: float) -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


def transcribe(folder: Path, turns: list[Turn], seconds: float) -> Any:
    worker: Any = FireRed(model=str(folder), device="cpu", threads=1).load()
    (result,) = worker.transcribe([EpisodeSpeech("e", noise(seconds), turns, "zh")])
    return result.transcripts


def test_characters_are_words_and_nothing_is_made_up(tmp_path: Path) -> None:
    (transcript,) = transcribe(firered.make(tmp_path), [Turn(0.0, 5.0, "A")], 5.0)
    assert len(transcript.words) > 5
    assert {(w.start, w.end, w.probability) for w in transcript.words} == {(None, None, None)}
    assert (transcript.avg_logprob, transcript.no_speech_prob, transcript.temperature) == (None, None, None)
    assert all(w.word.isascii() or len(w.word) == 1 for w in transcript.words)
    assert "▁" not in transcript.text


@pytest.mark.parametrize(("seconds", "characters"), [(0.5, 6), (0.9, 12), (2.0, 28)])
def test_short_turns_are_not_cut_off_by_the_limit_of_the_library(
    tmp_path: Path, seconds: float, characters: int
) -> None:
    """Which is 8 tokens a second: a model that never ends shows the limit."""
    (transcript,) = transcribe(firered.make(tmp_path, endless=True), [Turn(0.0, seconds, "A")], seconds)
    assert len(re.findall("HE|LLO|WOR|LD|ING|A|[^A-Z ]", transcript.text)) >= characters


def test_an_error_of_the_model_is_the_windows_error(tmp_path: Path) -> None:
    result = transcribe(firered.make(tmp_path, broken=True), [Turn(0.0, 2.0, "A"), Turn(2.0, 4.0, "A")], 4.0)
    assert isinstance(result, RuntimeError)
    assert "Gather" in str(result)
