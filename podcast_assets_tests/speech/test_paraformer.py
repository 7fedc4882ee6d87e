"""Paraformer through sherpa-onnx, with models of random weights: their words mean nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.speech.transcribers.paraformer import Paraformer, time_tokens
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Transcript, Turn
from podcast_assets_tests import miniature

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")
pytest.importorskip("sherpa_onnx", reason="needs the extra onnx")

from tools.random_models import paraformer

TURNS = [Turn(0.0, 4.0, "A"), Turn(4.0, 6.5, "B"), Turn(6.5, 9.0, "A")]


def noise(seconds: float) -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


def load(folder: Path, **settings: Any) -> Any:
    return Paraformer(model=str(folder), device="cpu", threads=1, **settings).load()


def transcripts(worker: Any, audio: Samples, turns: list[Turn]) -> list[Transcript]:
    (heard,) = worker.transcribe([EpisodeSpeech("e", audio, turns, "zh")])
    if isinstance(heard.transcripts, Exception):
        raise heard.transcripts
    return list(heard.transcripts)


def test_words_begin_where_the_model_fires_and_have_no_probability(tmp_path: Path) -> None:
    (first, *_) = transcripts(load(paraformer.make(tmp_path)), noise(9.0), TURNS)
    assert len(first.words) > 5
    for word in first.words:
        assert word.start is not None
        assert word.end is not None
        assert word.start % 0.24 == pytest.approx(0, abs=1e-6) or word.start % 0.24 == pytest.approx(0.24, abs=1e-6)
        assert word.start < word.end
        assert word.probability is None
    assert first.avg_logprob is None


def test_a_model_without_times_gives_words_without_times_one_by_one(tmp_path: Path) -> None:
    worker = load(paraformer.make(tmp_path, times=False))
    made = transcripts(worker, noise(9.0), TURNS)
    assert all(t.text for t in made)
    assert {(w.start, w.end) for t in made for w in t.words} == {(None, None)}
    assert worker.batcher.batches == [1, 1, 1]


def test_what_is_read_into_the_padding_of_a_batch_is_not_kept(tmp_path: Path) -> None:
    folder = paraformer.make(tmp_path, reads_on=True)
    one_by_one = transcripts(load(folder, batch_size=1), noise(9.0), TURNS)
    worker = load(folder)
    together = transcripts(worker, noise(9.0), TURNS)
    assert max(worker.batcher.batches) > 1
    assert together == one_by_one
    assert all(w.start is not None for t in together for w in t.words)
    assert len(one_by_one[1].text) < len(one_by_one[0].text)


def test_an_error_that_the_library_swallows_is_told_where_there_is_speech(tmp_path: Path) -> None:
    worker = load(paraformer.make(tmp_path, broken=True))
    spoken = decode(miniature.BATCH / "night-science.mp3")
    with pytest.raises(RuntimeError, match=r"no text for \d+\.\d s of speech"):
        transcripts(worker, spoken, [Turn(0.5, 8.0, "A"), Turn(8.0, 16.0, "B")])


def test_no_text_for_a_window_without_speech_is_no_error(tmp_path: Path) -> None:
    worker = load(paraformer.make(tmp_path, broken=True))
    assert [t.text for t in transcripts(worker, noise(9.0) * 0.01, TURNS)] == ["", "", ""]


@pytest.mark.parametrize(
    ("starts", "seconds", "times"),
    [
        ([0.1, 0.2, 0.9], 5.0, [(0.1, 0.2), (0.2, 0.44), (0.9, 1.14)]),
        ([0.1, 0.2, 0.3], 0.4, [(0.1, 0.2), (0.2, 0.3), (0.3, 0.4)]),
        ([0.1, 0.2, 0.5], 0.45, [(0.1, 0.2), (0.2, 0.44), (0.45, 0.45)]),
        ([], 5.0, [(None, None)] * 3),
        ([0.1, 0.2], 5.0, [(None, None)] * 3),
    ],
)
def test_a_token_lasts_until_the_next_one_and_not_for_long(
    starts: list[float], seconds: float, times: list[tuple[float, float]]
) -> None:
    tokens = time_tokens(["你", "好", "he@@"], starts, seconds)
    assert [t.text for t in tokens] == ["你", "好", " he"]
    for token, (start, end) in zip(tokens, times, strict=True):
        assert token.start == (start if start is None else pytest.approx(start))
        assert token.end == (end if end is None else pytest.approx(end))
