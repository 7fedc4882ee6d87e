"""The profile `embedded` with its real models: each episode goes to one that knows its language, or is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.config.settings import Settings
from podcast_assets.engines import packaged_models
from podcast_assets.speech.routing import RoutedEngine
from podcast_assets.speech.types import SAMPLE_RATE, Audio, EpisodeSpeech, TranscriptionResult, Turn
from podcast_assets.stages.profiles import make_profile
from podcast_assets_tests import miniature
from podcast_assets_tests.conftest import SharedFolders

MIXED = Path(__file__).parents[1] / "fixtures" / "mixed_languages"
"""An episode with turns in English and German."""


@pytest.fixture(autouse=True)
def offline(shared_folders: SharedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and a models folder in which the parts of the model `base` are joined once."""
    base = packaged_models.known_model("Systran/faster-whisper-base")
    assert base is not None

    def join(folder: Path) -> None:
        monkeypatch.setenv("PODCAST_MODELS", str(folder))
        packaged_models.prepare(base)

    monkeypatch.setenv("PODCAST_MODELS", str(shared_folders.make_once("offline-models", join)))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def without_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = packaged_models.installed_model
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(packaged_models, "installed_model", lambda repo: installed(repo) if ".en" in repo else None)


def english() -> tuple[Audio, list[Turn]]:
    reference = miniature.load_reference("night-science")[:3]
    return decode(miniature.BATCH / "night-science.mp3"), [Turn(t["start"], t["end"], "A") for t in reference]


def german() -> tuple[Audio, list[Turn]]:
    reference = json.loads((MIXED / "mixed.json").read_text())["turns"]
    return decode(MIXED / "mixed.opus"), [Turn(t["start"], t["end"], "A") for t in reference if t["language"] == "de"]


def transcriber(**settings: object) -> RoutedEngine:
    made = make_profile(Settings(**settings), "embedded", "asked for").transcriber
    assert isinstance(made, RoutedEngine)
    return made


def transcribe(
    engine: RoutedEngine, **episodes: tuple[tuple[Audio, list[Turn]], str | None]
) -> dict[str, TranscriptionResult]:
    engine.fetch()
    work = [EpisodeSpeech(name, audio, turns, language) for name, ((audio, turns), language) in episodes.items()]
    return {result.speech.episode: result for result in engine.load().transcribe(work)}


def languages(result: TranscriptionResult) -> set[str | None]:
    assert not isinstance(result.transcripts, Exception), result.transcripts
    assert all(t.text and not t.flags for t in result.transcripts)
    return {t.language for t in result.transcripts}


def test_english_has_its_own_model_and_the_other_one_identifies_languages() -> None:
    engine = transcriber()
    assert [(r.language, [getattr(e, "model", e.name) for e in r.chain]) for r in engine.routes] == [
        ("en", ["tiny.en", "base", "pocketsphinx"]),
        ("*", ["base"]),
    ]
    results = transcribe(engine, declared=(english(), "en"), english=(english(), None), german=(german(), None))
    assert {name: languages(result) for name, result in results.items()} == {
        "declared": {"en"},
        "english": {"en"},
        "german": {"de"},
    }


@pytest.mark.usefixtures("without_base")
def test_without_the_model_of_all_languages_others_than_english_are_refused_by_name() -> None:
    engine = transcriber()
    assert [getattr(e, "model", e.name) for e in engine.routes[0].chain] == ["tiny.en", "base", "pocketsphinx"]
    results = transcribe(engine, english=(english(), "en"), german=(german(), "de"), unknown=(german(), None))
    assert languages(results["english"]) == {"en"}
    for name, why in (
        ("german", "no engine for its language, de, can be loaded: faster-whisper: Systran/faster-whisper-base is "),
        ("unknown", "its language is not declared, and nothing here can identify it: faster-whisper: Systran/"),
    ):
        error = results[name].transcripts
        assert isinstance(error, EngineUnavailable)
        assert str(error).startswith(why)
        assert str(error).endswith("pip install 'podcast-assets[offline]'")


@pytest.mark.usefixtures("without_base")
def test_without_whisper_pocketsphinx_is_the_last_resort_for_english_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_models, "installed_model", lambda _: None)
    engine = transcriber()
    assert [e.name for e in engine.routes[0].chain] == ["pocketsphinx"]
    with pytest.raises(EngineUnavailable, match=r"no engine for its language, de, .*podcast-assets\[offline\]"):
        raise_error(transcribe(engine, german=(german(), "de"))["german"])


def raise_error(result: TranscriptionResult) -> None:
    assert isinstance(result.transcripts, Exception)
    raise result.transcripts


def test_an_english_only_model_does_not_take_an_undeclared_episode_for_english() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    engine = make_profile(Settings(whisper_model="tiny.en"), "cpu", "asked for").transcriber
    assert isinstance(engine, RoutedEngine)
    work = [EpisodeSpeech("a", silence, [Turn(0, 1, "A")]), EpisodeSpeech("b", silence, [Turn(0, 1, "A")], "de")]
    unknown, foreign = engine.load().transcribe(work)
    with pytest.raises(
        BadInput, match=r"'tiny.en' knows English only and cannot identify a language: .*PODCAST_LANGUAGE"
    ):
        raise_error(unknown)
    with pytest.raises(BadInput, match=r"'tiny.en' does not support the language 'de'"):
        raise_error(foreign)


def test_mixed_languages_go_to_the_model_of_all_languages() -> None:
    assert [(r.language, len(r.chain)) for r in transcriber(mixed_languages=True).routes] == [("*", 1)]
