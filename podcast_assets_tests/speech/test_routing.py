"""Which engine hears which episode, and what becomes of one whose engine fails: another takes over, and says so."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.config.routes import parse_routes
from podcast_assets.engines.engine import Engine
from podcast_assets.speech.routing import FALLBACK, Route, RoutedEngine
from podcast_assets.speech.types import (
    SAMPLE_RATE,
    UNTRANSCRIBED,
    EpisodeSpeech,
    Transcript,
    TranscriptionResult,
    Turn,
    Word,
    one_by_one,
)

LOADED: list[str] = []


@pytest.fixture(autouse=True)
def nothing_loaded() -> None:
    LOADED.clear()


class Voice(Engine):
    """Says its name for every turn. A turn of an episode named in `fails` cannot be done; `identifies` is what it hears."""

    name: ClassVar[str] = "voice"

    says: str
    fails: tuple[str, ...] = ()
    half: tuple[str, ...] = ()
    """Episodes of which it can do every turn but the first."""
    identifies: str | None = None
    refuses: tuple[str, ...] = ()
    """Episodes whose language it does not know."""
    unavailable: str = ""
    """Why it cannot be loaded."""
    broken: bool = False
    no_model: bool = False

    def fetch(self) -> None:
        if self.no_model:
            raise EngineUnavailable(f"the model of {self.says} is not available")

    def load(self, device: str | None = None) -> Any:
        LOADED.append(self.says)
        if self.unavailable:
            raise EngineUnavailable(self.unavailable)
        return IdentifyingWorker(self) if self.identifies else Worker(self)

    def devices(self) -> list[str]:
        return ["cuda:0"] if self.says == "gpu" else []


class Worker:
    def __init__(self, engine: Voice) -> None:
        self.engine = engine

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        return one_by_one(self.one, work)

    def one(self, speech: EpisodeSpeech) -> Sequence[Transcript]:
        if self.engine.broken:
            raise RuntimeError("CUDA error: unspecified launch failure")
        if speech.episode in self.engine.refuses:
            raise BadInput(f"{self.engine.says} does not know the language")
        if speech.episode in self.engine.fails:
            raise RuntimeError(f"{self.engine.says} fell over")
        made = [
            Transcript(self.engine.says, [Word(self.engine.says, t.start, t.end, 1.0)], speech.language)
            for t in speech.turns
        ]
        if speech.episode in self.engine.half:
            made[0] = Transcript("", flags=(UNTRANSCRIBED,), language=speech.language)
        return made


class IdentifyingWorker(Worker):
    def identify_speech(self, speech: EpisodeSpeech) -> tuple[str | None, float | None]:
        return self.engine.identifies, 0.9


def speech(name: str, language: str | None = "en", turns: int = 2) -> EpisodeSpeech:
    return EpisodeSpeech(
        name, np.zeros(turns * SAMPLE_RATE, np.float32), [Turn(i, i + 1, "A") for i in range(turns)], language
    )


def routed(**routes: Voice | tuple[Voice, ...]) -> RoutedEngine:
    return RoutedEngine(
        routes=tuple(
            Route(language="*" if name == "any" else name, chain=chain if isinstance(chain, tuple) else (chain,))
            for name, chain in routes.items()
        )
    )


def transcribe(engine: RoutedEngine, *work: EpisodeSpeech) -> dict[str, TranscriptionResult]:
    return {h.speech.episode: h for h in engine.load().transcribe(work)}


def texts(result: TranscriptionResult) -> list[str]:
    assert not isinstance(result.transcripts, Exception), result.transcripts
    return [t.text for t in result.transcripts]


def test_each_language_has_its_engine_and_only_those_that_are_needed_are_loaded() -> None:
    table = routed(zh=Voice(says="chinese"), en=Voice(says="english"), any=Voice(says="any"))
    results = transcribe(table, speech("a", "zh"), speech("b", "de"), speech("c", "zh"))
    assert {k: texts(v)[0] for k, v in results.items()} == {"a": "chinese", "b": "any", "c": "chinese"}
    assert sorted(LOADED) == ["any", "chinese"]
    assert all(h.fallback is None for h in results.values())


def test_an_unknown_language_is_identified_first_and_never_taken_for_english() -> None:
    table = routed(zh=Voice(says="chinese"), en=Voice(says="english"), any=Voice(says="any", identifies="zh"))
    results = transcribe(table, speech("a", None))
    assert texts(results["a"]) == ["chinese", "chinese"]
    assert "english" not in LOADED


def test_where_one_engine_fails_the_next_takes_over_and_says_so() -> None:
    table = routed(any=(Voice(says="first", fails=("b",)), Voice(says="second", fails=("b",)), Voice(says="third")))
    results = transcribe(table, speech("a"), speech("b"))
    assert (texts(results["a"]), texts(results["b"])) == (["first", "first"], ["third", "third"])
    assert results["a"].fallback is None
    told = results["b"].fallback or ""
    assert "first fell over" in told
    assert "second fell over" in told
    assert "did 2 of 2 segments" in told
    made = results["b"].transcripts
    assert not isinstance(made, Exception)
    assert all(FALLBACK in t.flags for t in made)


def test_only_the_turns_that_failed_go_to_the_next_engine() -> None:
    results = transcribe(routed(any=(Voice(says="first", half=("a",)), Voice(says="second"))), speech("a", turns=3))
    assert texts(results["a"]) == ["second", "first", "first"]
    made = results["a"].transcripts
    assert not isinstance(made, Exception)
    assert [t.flags for t in made] == [(FALLBACK,), (), ()]
    assert [w.start for t in made for w in t.words] == [0, 1, 2]


def test_a_turn_that_nobody_can_do_is_empty_and_flagged_not_lost() -> None:
    results = transcribe(routed(any=Voice(says="first", half=("a",))), speech("a"))
    made = results["a"].transcripts
    assert not isinstance(made, Exception)
    assert [(t.text, t.flags) for t in made] == [("", (UNTRANSCRIBED,)), ("first", ())]


def test_an_episode_that_no_engine_can_do_fails_with_what_the_first_one_said() -> None:
    results = transcribe(
        routed(any=(Voice(says="first", fails=("a",)), Voice(says="second", fails=("a",)))), speech("a")
    )
    error = results["a"].transcripts
    assert isinstance(error, RuntimeError)
    assert str(error) == "first fell over"
    assert "second fell over" in error.__notes__[0]


MISSING = Voice(says="missing", unavailable="missing is not installed")


def test_a_fallback_that_cannot_be_loaded_is_told() -> None:
    results = transcribe(routed(any=(Voice(says="first", fails=("a",)), MISSING)), speech("a"), speech("b"))
    error = results["a"].transcripts
    assert str(error) == "first fell over"
    assert "missing is not installed" in getattr(error, "__notes__", [""])[0]
    assert texts(results["b"]) == ["first", "first"]


def test_where_an_engine_cannot_be_loaded_the_next_does_all_of_it_and_says_so() -> None:
    results = transcribe(
        routed(any=(MISSING, Voice(says="second", half=("b",)), Voice(says="third"))), speech("a"), speech("b")
    )
    assert texts(results["a"]) == ["second", "second"]
    assert texts(results["b"]) == ["third", "second"]
    assert results["a"].fallback == "voice: missing is not installed; voice did 2 of 2 segments"
    for one in results.values():
        assert not isinstance(one.transcripts, Exception)
        assert all(FALLBACK in t.flags and t.engine == "voice" for t in one.transcripts)
    assert LOADED.count("missing") == 1, "it is not tried again for each episode"


def test_where_no_engine_of_a_chain_can_be_loaded_no_episode_is_taken() -> None:
    taken: list[str] = []

    def work() -> Iterator[EpisodeSpeech]:
        taken.append("a")
        yield speech("a")

    other = Voice(says="other", unavailable="its model is damaged")
    with pytest.raises(EngineUnavailable, match="voice: missing is not installed; voice: its model is damaged"):
        list(routed(any=(MISSING, other)).load().transcribe(work()))
    assert taken == []


def test_other_languages_are_done_where_the_engines_of_one_do_not_load() -> None:
    table = routed(zh=MISSING, any=Voice(says="any"))
    results = transcribe(table, speech("a", "zh"), speech("b", "de"), speech("c", "zh"))
    assert texts(results["b"]) == ["any", "any"]
    for name in "ac":
        error = results[name].transcripts
        assert isinstance(error, EngineUnavailable)
        assert "missing is not installed" in str(error)


def test_where_no_engine_of_any_language_can_be_loaded_the_run_stops() -> None:
    with pytest.raises(EngineUnavailable, match="missing is not installed"):
        transcribe(routed(zh=MISSING, any=MISSING), speech("a", "zh"), speech("b", "de"))


def test_a_model_of_one_language_that_is_not_available_stops_only_its_episodes() -> None:
    table = routed(zh=Voice(says="chinese", no_model=True), any=Voice(says="any"))
    table.fetch()
    results = transcribe(table, speech("a", "zh"), speech("b", "de"))
    assert isinstance(results["a"].transcripts, EngineUnavailable)
    assert "no engine for its language, zh, can be loaded: voice: the model of chinese" in str(results["a"].transcripts)
    assert texts(results["b"]) == ["any", "any"]


def test_where_no_model_of_any_language_is_available_nothing_begins() -> None:
    table = routed(zh=Voice(says="chinese", no_model=True), any=(Voice(says="any", no_model=True), Voice(says="last")))
    with pytest.raises(EngineUnavailable, match=r"the model of chinese is not available; the model of any is not"):
        table.fetch()


def test_an_unknown_language_that_nobody_can_identify_is_not_guessed() -> None:
    table = routed(zh=Voice(says="chinese"), any=(MISSING, Voice(says="second")))
    results = transcribe(table, speech("a", None), speech("b", "zh"))
    assert isinstance(results["a"].transcripts, EngineUnavailable)
    assert texts(results["b"]) == ["chinese", "chinese"]


def test_a_refusal_by_a_fallback_is_not_a_permanent_failure() -> None:
    """The engine that cannot be loaded may know the language."""
    results = transcribe(routed(any=(MISSING, Voice(says="second", refuses=("a",)))), speech("a"), speech("b"))
    error = results["a"].transcripts
    assert isinstance(error, EngineUnavailable)
    assert "voice: missing is not installed; voice: BadInput: second does not know the language" in str(error)
    assert texts(results["b"]) == ["second", "second"]


@pytest.mark.parametrize("why", ["CUDA driver version is insufficient", "failed to allocate memory"])
def test_a_broken_gpu_does_not_lead_to_a_worse_engine(why: str) -> None:
    with pytest.raises(EngineUnavailable, match=why):
        transcribe(routed(any=(Voice(says="gpu", unavailable=why), Voice(says="second"))), speech("a"))
    assert LOADED == ["gpu"]


def test_an_aligner_that_cannot_be_loaded_stops_the_run_before_anything_is_transcribed() -> None:
    table = RoutedEngine(routes=routed(any=Voice(says="any")).routes, aligner=MISSING)
    with pytest.raises(EngineUnavailable, match="missing is not installed"):
        transcribe(table, speech("a"))
    assert LOADED == ["missing"]


def test_a_broken_device_is_not_answered_with_a_worse_engine() -> None:
    results = transcribe(routed(any=(Voice(says="gpu", broken=True), Voice(says="second"))), speech("a"))
    assert isinstance(results["a"].transcripts, RuntimeError)


def test_a_language_without_a_route_is_one_episode_s_trouble() -> None:
    results = transcribe(
        routed(zh=Voice(says="chinese"), en=Voice(says="english")), speech("a", "de"), speech("b", "zh")
    )
    assert isinstance(results["a"].transcripts, BadInput)
    assert texts(results["b"])[0] == "chinese"


def test_another_route_s_engine_does_not_concern_an_episode_whose_language_is_known() -> None:
    before = routed(zh=Voice(says="chinese"), any=Voice(says="any"))
    after = routed(zh=Voice(says="a newer one"), any=Voice(says="any"))
    for language, same in (("en", True), ("zh", False), (None, False)):
        inputs = {"language": language}
        assert (before.for_inputs(inputs).identity() == after.for_inputs(inputs).identity()) is same


def test_a_fallback_is_not_part_of_what_a_result_is() -> None:
    plain = routed(any=Voice(says="any"))
    assert plain.identity() == routed(any=(Voice(says="any"), Voice(says="second"))).identity()


def test_all_engines_share_the_device_of_those_that_want_one() -> None:
    assert routed(zh=Voice(says="gpu"), en=Voice(says="english"), any=Voice(says="gpu")).devices() == ["cuda:0"]


def test_a_routing_table_is_read() -> None:
    assert parse_routes("zh=firered>faster-whisper, *=faster-whisper") == {
        "zh": ("firered", "faster-whisper"),
        "*": ("faster-whisper",),
    }
    assert parse_routes("cn=paraformer,English=parakeet") == {"zh": ("paraformer",), "en": ("parakeet",)}
    with pytest.raises(ValueError, match="'zh' is not a route"):
        parse_routes("zh,en=x")
    with pytest.raises(ValueError, match="'klingon' in 'klingon=x' is not a language code"):
        parse_routes("klingon=x")


class Anonymous(Engine):
    """Leaves the name of the engine out of its transcripts."""

    name: ClassVar[str] = "anonymous"

    def load(self, device: str | None = None) -> Any:
        return self

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        return one_by_one(lambda speech: [Transcript("hello")] * len(speech.turns), work)


def test_transcripts_name_their_engine_where_it_does_not_say() -> None:
    routed = RoutedEngine(routes=(Route(language="*", chain=(Anonymous(),)),)).load()
    speech = EpisodeSpeech("a", np.zeros(SAMPLE_RATE, np.float32), [Turn(0, 1, "A")], "en")
    (result,) = routed.transcribe([speech])
    assert not isinstance(result.transcripts, Exception)
    assert [t.engine for t in result.transcripts] == ["anonymous"]


def test_an_episode_with_a_chosen_transcriber_takes_it_and_others_do_not() -> None:
    usual = routed(any=Voice(says="usual"))
    chosen = (
        Route(language="own", chain=(Voice(says="own"),)),
        Route(language="gone", chain=(Voice(says="gone", unavailable="not installed"),)),
    )
    engine = usual.model_copy(update={"chosen": chosen})
    work = [replace(speech(name), transcriber=name) for name in ("own", "gone", "never")]
    found = transcribe(engine, speech("other"), *work)
    assert (texts(found["other"]), texts(found["own"])) == (["usual"] * 2, ["own"] * 2)
    assert isinstance(found["gone"].transcripts, EngineUnavailable)
    assert isinstance(found["never"].transcripts, BadInput)
    assert engine.identity() == usual.identity(), "what was chosen for one changes no result of the others"
