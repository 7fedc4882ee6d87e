"""The scorer audio-tagging with networks of random weights, in some of which one class is certain."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.quality.scorers.audio_tagging import AudioTagging
from podcast_assets.speech.types import SAMPLE_RATE, Samples

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")

from tools.random_models import audio_tagging


@pytest.fixture(scope="module")
def audio() -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, 8 * SAMPLE_RATE).astype(np.float32)


def load(folder: Path, **settings: Any) -> Any:
    return AudioTagging(model=str(folder), device="cpu", threads=1, **settings).load()


@pytest.mark.parametrize(
    ("certain", "shares"),
    [
        ("Music", (1.0, 0.0)),
        ("White noise", (0.0, 1.0)),
        ("Traffic noise, roadway noise", (0.0, 1.0)),
        ("Speech", (0.0, 0.0)),
    ],
)
def test_a_class_counts_as_music_or_as_noise(
    tmp_path: Path, audio: Samples, certain: str, shares: tuple[float, float]
) -> None:
    for scores in load(audio_tagging.make(tmp_path, certain=certain)).score(audio, [(0.0, 8.0), (1.0, 1.7)]):
        assert (scores["music_share"], scores["noise_share"]) == shares


def test_shares_count_windows_whatever_the_size_of_the_minibatch(tmp_path: Path, audio: Samples) -> None:
    folder = audio_tagging.make(tmp_path)
    segments = [(0.0, 1.0), (2.0, 8.0), (0.5, 1.5), (0.0, 3.3), (4.0, 6.0)]
    one, all_at_once = (load(folder, batch_size=size, threshold=0.5).score(audio, segments) for size in (1, 64))
    assert one == all_at_once
    assert all(0.0 <= value <= 1.0 for scores in one for value in scores.values())
    assert {(scores["music_share"] or 0.0) * 5 % 1 for scores in one[1:2]} == {
        0.0
    }  # 6 s are five windows of 2 s every second


def test_a_segment_without_a_frame_has_no_shares(tmp_path: Path, audio: Samples) -> None:
    scores = load(audio_tagging.make(tmp_path)).score(audio, [(1.0, 1.01), (7.99, 9.0)])
    assert scores == [{"music_share": None, "noise_share": None}] * 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "class_labels_indices.csv").unlink(), "has no class_labels_indices.csv"),
        (lambda folder: audio_tagging.make(folder, names=("Speech", "Dog")), "not those of AudioSet"),
        (
            lambda folder: (folder / "class_labels_indices.csv").write_text("index,mid,display_name\n0,/m/0,Music\n"),
            "has 6 classes, and .* names 1",
        ),
    ],
)
def test_an_incomplete_model_is_refused_by_name(tmp_path: Path, damage: Any, message: str) -> None:
    folder = audio_tagging.make(tmp_path)
    damage(folder)
    with pytest.raises(EngineUnavailable, match=message):
        load(folder)


def test_it_needs_a_model_of_the_hub_unless_a_folder_is_set(tmp_path: Path) -> None:
    (model,) = AudioTagging(quantization="int8").hub_models()
    assert (model.files, model.licence) == (("model.int8.onnx", "class_labels_indices.csv"), "apache-2.0")
    assert AudioTagging(model=str(audio_tagging.make(tmp_path))).hub_models() == []
