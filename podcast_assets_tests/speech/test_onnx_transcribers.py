"""What the transcribers of ONNX models have in common, with models of random weights: their words mean nothing."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines import models
from podcast_assets.engines.engine import make_engine
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.transcribers.onnx_models import OnnxTranscriber, length_bucket
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Transcript, TranscriptionResult, Turn

pytest.importorskip("onnx", reason="models of random weights are made with the package onnx")
pytest.importorskip("onnx_asr", reason="needs the extra onnx")
pytest.importorskip("sherpa_onnx", reason="needs the extra onnx")

from tools.random_models import firered, paraformer, parakeet

MAKERS: dict[str, Callable[[Path], Path]] = {
    "parakeet": parakeet.make,
    "firered": firered.make,
    "paraformer": paraformer.make,
}
KNOWN = {"parakeet": "de", "firered": "zh", "paraformer": "zh"}

EngineMaker = Callable[..., OnnxTranscriber]


@pytest.fixture(scope="module", params=list(MAKERS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[name](tmp_path_factory.mktemp(name) / "model")


@pytest.fixture(scope="module")
def engine(name: str, folder: Path) -> EngineMaker:
    def make(**settings: Any) -> OnnxTranscriber:
        engine = make_engine("transcriber", name, **{"model": str(folder), "device": "cpu", "threads": 1, **settings})
        assert isinstance(engine, OnnxTranscriber)
        return engine

    return make


@pytest.fixture(scope="module")
def worker(engine: EngineMaker) -> Any:
    return engine().load()


def noise(seconds: float, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


def speech(name: str, episode: str = "one", *, seed: int = 0, seconds: float = 12.0) -> EpisodeSpeech:
    turns = [Turn(0.25, 3.5, "A"), Turn(3.5, 7.25, "B"), Turn(8.0, 11.5, "A")]
    return EpisodeSpeech(episode, noise(seconds, seed), turns, KNOWN[name])


def transcripts(heard: TranscriptionResult) -> list[Transcript]:
    if isinstance(heard.transcripts, Exception):
        raise heard.transcripts
    return list(heard.transcripts)


def by_episode(work: list[TranscriptionResult]) -> dict[str, list[Transcript]]:
    return {h.speech.episode: transcripts(h) for h in work}


def test_every_turn_has_a_transcript_with_its_language_and_engine(worker: Any, name: str) -> None:
    (heard,) = worker.transcribe([speech(name)])
    made = transcripts(heard)
    assert len(made) == 3
    assert all(t.text for t in made)
    assert {(t.language, t.language_probability, t.engine, t.flags) for t in made} == {(KNOWN[name], None, name, ())}
    assert heard.fallback is None


def test_words_are_the_text_and_their_times_are_in_order_inside_their_turn(worker: Any, name: str) -> None:
    episode = speech(name)
    (heard,) = worker.transcribe([episode])
    for turn, transcript in zip(episode.turns, transcripts(heard), strict=True):
        assert "".join(w.word for w in transcript.words) == transcript.text.replace(" ", "")
        times = [t for w in transcript.words for t in (w.start, w.end) if t is not None]
        assert [turn.start, *times, turn.end] == sorted([turn.start, *times, turn.end])


def test_episodes_in_one_batch_are_heard_as_each_alone(worker: Any, name: str) -> None:
    episodes = [speech(name, f"episode {i}", seed=i) for i in range(3)]
    alone = by_episode([h for e in episodes for h in worker.transcribe([e])])
    before = len(worker.batcher.batches)
    together = by_episode(list(worker.transcribe(episodes)))
    assert sum(worker.batcher.batches[before:]) == 9
    if name != "firered":  # decodes one by one
        assert max(worker.batcher.batches[before:]) > 3
    assert list(together) == [e.episode for e in episodes]
    for episode, made in together.items():
        for one, other in zip(made, alone[episode], strict=True):
            assert (one.text, [replace(w, probability=None) for w in one.words]) == (
                other.text,
                [replace(w, probability=None) for w in other.words],
            )
            assert [w.probability for w in one.words] == [
                w.probability and pytest.approx(w.probability, rel=1e-3) for w in other.words
            ]


def test_a_long_turn_is_cut_and_put_together_again(engine: EngineMaker, name: str) -> None:
    worker: Any = engine(chunk_seconds=2.0).load()
    (heard,) = worker.transcribe([EpisodeSpeech("long", noise(9.0), [Turn(0.0, 9.0, "A")], KNOWN[name])])
    (transcript,) = transcripts(heard)
    assert sum(worker.batcher.batches) >= 5
    starts = [w.start for w in transcript.words if w.start is not None]
    assert name == "firered" or max(starts) > 7.0


def test_a_turn_too_short_for_a_word_has_an_empty_transcript(worker: Any, name: str) -> None:
    turns = [Turn(0.0, 0.02, "A"), Turn(0.5, 0.56, "A"), Turn(1.0, 3.0, "B"), Turn(50.0, 51.0, "A")]
    (heard,) = worker.transcribe([EpisodeSpeech("short", noise(4.0), turns, KNOWN[name])])
    made = transcripts(heard)
    assert [bool(t.text) for t in made][::2] == [False, True]
    assert len(made) == 4


def test_an_episode_without_turns_is_done_whatever_its_language(worker: Any) -> None:
    (heard,) = worker.transcribe([EpisodeSpeech("silent", noise(1.0), [], None)])
    assert transcripts(heard) == []


def test_an_unknown_language_is_refused_for_that_episode_alone(worker: Any, name: str) -> None:
    episodes = [speech(name, "known"), replace(speech(name, "Swahili"), language="sw")]
    heard = {h.speech.episode: h.transcripts for h in worker.transcribe(episodes)}
    assert not isinstance(heard["known"], Exception)
    refused = heard["Swahili"]
    assert isinstance(refused, BadInput)
    assert "does not support the language sw" in str(refused)
    assert f" {KNOWN[name]}" in str(refused)


def test_a_language_that_is_not_given_is_not_assumed(engine: EngineMaker, name: str) -> None:
    """Except by a model that knows many: it hears which it is, and does not say."""
    unknown = replace(speech(name), language=None)
    worker: Any = engine().load()
    (heard,) = worker.transcribe([unknown])
    if name == "parakeet":
        assert {t.language for t in transcripts(heard)} == {None}
        worker = engine(languages=("en",)).load()
        (heard,) = worker.transcribe([unknown])
    assert isinstance(heard.transcripts, BadInput)
    assert "must be given or identified first" in str(heard.transcripts)


def test_missing_files_are_named_in_one_message(engine: EngineMaker, folder: Path, tmp_path: Path) -> None:
    parts = engine().parts
    half = tmp_path / "half"
    half.mkdir()
    (half / parts[0]).write_bytes((folder / parts[0]).read_bytes())
    incomplete = engine(model=str(half))
    for attempt in (incomplete.fetch, incomplete.load):
        with pytest.raises(EngineUnavailable) as raised:
            attempt()
        assert str(half) in str(raised.value)
        assert [part in str(raised.value) for part in parts] == [False] + [True] * (len(parts) - 1)
    with pytest.raises(EngineUnavailable, match="there is no folder"):
        engine(model=str(tmp_path / "nowhere")).load()


def test_weights_apart_from_their_graph_belong_to_the_model(engine: EngineMaker, folder: Path, tmp_path: Path) -> None:
    import onnx

    parts = engine().parts
    apart = tmp_path / "apart"
    apart.mkdir()
    for part in parts:
        (apart / part).write_bytes((folder / part).read_bytes())
    graph = next(part for part in parts if part.endswith(".onnx"))
    onnx.save(
        onnx.load(apart / graph), apart / graph, save_as_external_data=True, location=f"{graph}.data", size_threshold=64
    )
    separate = engine(model=str(apart))
    separate.load()
    assert apart / f"{graph}.data" in separate.model_files()
    (apart / f"{graph}.data").unlink()
    with pytest.raises(EngineUnavailable, match=rf"has no {graph}\.data"):
        separate.load()


def test_a_damaged_model_is_told_and_ends_no_process(engine: EngineMaker, folder: Path, tmp_path: Path) -> None:
    """sherpa-onnx ends the process where a model has no metadata."""
    import onnx

    for part in engine().parts:
        (tmp_path / part).write_bytes((folder / part).read_bytes())
    graph = tmp_path / next(part for part in engine().parts if part.endswith(".onnx"))
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineUnavailable, match=str(tmp_path)):
        engine(model=str(tmp_path)).load()
    model = onnx.load_from_string(whole)
    if model.metadata_props:
        del model.metadata_props[:]
        onnx.save(model, graph)
        with pytest.raises(EngineUnavailable, match="no metadata"):
            engine(model=str(tmp_path)).load()


def test_a_model_is_known_by_its_content(engine: EngineMaker, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for part in engine().parts:
        (copy / part).write_bytes((folder / part).read_bytes())
    here = engine().identity()
    assert here["model"]
    assert engine(model=str(copy)).identity() == here
    assert engine(threads=2, device="auto").identity() == here
    assert engine(languages=("zh", "de")).identity() == engine(languages=("de", "zh")).identity() != here
    assert here["settings"]["quantization"] in ("fp32", "int8")
    (copy / engine().parts[-1]).write_bytes(b"other")
    assert engine(model=str(copy)).identity() != here


def test_a_model_of_the_hub_is_fetched_and_found_by_its_name(
    engine: EngineMaker, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[HubModel] = []

    def fetch(model: HubModel) -> Path:
        fetched.append(model)
        return folder

    monkeypatch.setattr(models, "fetch_model", fetch)
    monkeypatch.setattr(models, "find_model", lambda model: folder if fetched else None)
    published = make_engine("transcriber", name, device="cpu")
    assert isinstance(published, OnnxTranscriber)
    (model,) = published.hub_models()
    assert set(published.parts) <= set(model.files)
    assert model.megabytes > 100
    assert published.model_files() == []
    named = engine(model="somebody/some-model")
    named.fetch()
    named.load()
    assert {m.repo for m in fetched} == {"somebody/some-model"}
    assert set(named.parts) <= set(fetched[0].files)
    assert named.model_files() == engine().model_files()
    assert engine().hub_models() == []


@pytest.mark.parametrize(("seconds", "expected"), [(0.05, 0), (1.0, 0), (1.1, 1), (2.0, 1), (29.0, 5), (32.0, 5)])
def test_lengths_are_told_apart_by_doublings(seconds: float, expected: int) -> None:
    assert length_bucket(seconds) == expected


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_without_a_gpu_none_is_held_and_none_is_pretended(engine: EngineMaker, device: str) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    if device == "auto":
        assert engine(device=device).devices() == []
    else:
        with pytest.raises(EngineUnavailable, match="set the device to cpu"):
            engine(device=device).load()


def test_a_missing_package_names_the_extra(engine: EngineMaker, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = "onnx_asr" if name == "parakeet" else "sherpa_onnx"
    for module in [m for m in sys.modules if m.split(".")[0] == package or m.endswith("parakeet_tdt")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineUnavailable, match=r"podcast-assets\[onnx\]"):
        engine().load()
