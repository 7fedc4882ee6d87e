"""No word is lost: transcripts are held against the speech in their turns, and what falls short is transcribed again."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.common.errors import BadInput
from podcast_assets.engines.engine import Engine
from podcast_assets.quality.text.measures import find_hallucinations
from podcast_assets.speech.coverage.attempts import build_input, join_parts
from podcast_assets.speech.coverage.gaps import uncovered_seconds
from podcast_assets.speech.coverage.transcriber import CoverageTranscriber
from podcast_assets.speech.routing import FALLBACK, Route, RoutedEngine
from podcast_assets.speech.types import (
    UNCOVERED_SPEECH,
    UNTRANSCRIBED,
    Audio,
    EpisodeSpeech,
    Transcript,
    TranscriptionResult,
    Turn,
    Word,
    one_by_one,
)
from podcast_assets_tests.miniature import BATCH, load_reference

SPOKEN = [(0.0, 10.0)]
TURN = Turn(0.0, 10.0, "A")


def spread(*times: float, text: str = "word", seconds: float = 0.4) -> Transcript:
    """Words that start at these times."""
    words = [Word(text, t, t + seconds, 1.0) for t in times]
    return Transcript(" ".join(w.word for w in words), words)


every_half = [i / 2 for i in range(20)]


@pytest.mark.parametrize(
    ("transcript", "seconds"),
    [
        (spread(*every_half), 0.0),
        (spread(*every_half[:10]), 10 - 4.9 - 0.15),
        (spread(*every_half[:6], *every_half[12:]), 6 - 0.15 - (2.9 + 0.15)),
        (spread(*every_half[4:]), 2 - 0.15),
        (spread(*(t for t in every_half if t not in (4.0, 7.5))), 0.0),
        (spread(0.0, text="on", seconds=10.0), 10 - 0.5 - 0.15),
        (spread(*(2.0 * i for i in range(5)), text="13,250,000", seconds=2.0), 0.0),
        (Transcript(""), 10.0),
        (
            Transcript("Nobody said how slowly this was read, and so it may well have taken all of the ten seconds."),
            0.0,
        ),
        (Transcript("Only the beginning."), 10 - 3 * 0.3 - 17 * 0.1),
        (Transcript("我们今天来谈谈天气和音乐还有这座城市的历史"), 10 - 0.3 - 21 * 0.4),
        (spread(*(i / 4 for i in range(40)), text="天", seconds=0.25), 0.0),
    ],
    ids=[
        "words all along",
        "the end is missing",
        "the middle is missing",
        "the start is missing",
        "single words are missing",
        "one word stretched over all",
        "long numbers",
        "nothing",
        "no times, enough text",
        "no times, too little text",
        "no times, no spaces",
        "characters as words",
    ],
)
def test_seconds_of_speech_without_words(transcript: Transcript, seconds: float) -> None:
    assert uncovered_seconds(TURN, transcript, SPOKEN) == pytest.approx(seconds if seconds > 0.75 else 0, abs=0.01)


def test_only_speech_inside_the_turn_counts() -> None:
    spoken = [(-5.0, 1.0), (4.0, 4.5), (9.0, 20.0)]
    assert uncovered_seconds(TURN, Transcript(""), spoken) == pytest.approx(2.5)
    assert uncovered_seconds(TURN, spread(0.2), spoken) == pytest.approx(1.0)
    assert uncovered_seconds(TURN, Transcript(""), []) == 0


def test_a_turn_is_cut_in_the_middle_of_its_pauses_and_where_it_is_quiet_without_any() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, 160_000).astype(np.float32)
    audio[5 * 16_000 : 6 * 16_000] = 0
    speech = EpisodeSpeech("a", audio, [TURN])
    spoken = [(0.0, 2.0), (2.4, 2.8), (3.2, 10.0)]
    assert [t.turns[0].start for t in build_input("pauses", speech, 0, spoken)] == pytest.approx([0, 2.2])
    (first, second) = build_input("pauses", speech, 0, [(0.0, 10.0)])
    assert 5 < first.turns[0].end < 6
    assert first.turns[0].end == second.turns[0].start
    assert build_input("pauses", EpisodeSpeech("a", audio, [Turn(0, 1.5, "A")]), 0, SPOKEN) == []


def test_figures_of_parts_are_weighted_by_their_length() -> None:
    parts = [Turn(0, 1, "A"), Turn(1, 4, "A")]
    joined = join_parts(
        parts, [Transcript("one", avg_logprob=-1.0, language="en"), Transcript("two", avg_logprob=-0.2)]
    )
    assert (joined.text, joined.avg_logprob) == ("one two", pytest.approx(-0.4))


# -- real speech, of which the words are known -------------------------------------------------------------------------


@dataclass
class Reader:
    """Transcriber that knows what is said, and loses what it is told to lose."""

    said: Sequence[Word]
    loses: dict[int, str]
    """Start of a turn in whole seconds → when its second half is lost: in company ("packed"), unless cut ("whole"), or "always"."""
    invents: dict[int, str] = field(default_factory=dict)
    """Start of a turn → what is written for it in company."""
    attempts: tuple[str, ...] = ("alone", "timestamps", "pauses")
    inputs: list[EpisodeSpeech] = field(default_factory=list)
    refuses: tuple[str, ...] = ()

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        return one_by_one(self.read, work)

    def read(self, speech: EpisodeSpeech) -> list[Transcript]:
        self.inputs.append(speech)
        if speech.episode in self.refuses:
            raise BadInput("not in this language")
        return [self._read_turn(turn, company=len(speech.turns) > 1) for turn in speech.turns]

    def _read_turn(self, turn: Turn, *, company: bool) -> Transcript:
        words = [w for w in self.said if w.start is not None and turn.start - 0.05 <= w.start < turn.end]
        loses = self.loses.get(int(turn.start))
        if loses == "always" or (loses == "packed" and company) or (loses == "whole" and turn.end - turn.start > 4):
            words = words[: len(words) // 2]
        if company and (text := self.invents.get(int(turn.start))):
            words = [Word(w, turn.start, turn.end, 0.5) for w in text.split()]
        return Transcript(" ".join(w.word for w in words), words, "en")


@pytest.fixture(scope="module")
def audio() -> Audio:
    return decode(BATCH / "night-science.mp3")


TURNS = [Turn(t["start"], t["end"], t["speaker"]) for t in load_reference("night-science")]
SAID = [Word(w, start, end, 1.0) for t in load_reference("night-science") for w, start, end in t["words"]]
LONG = max(range(len(TURNS)), key=lambda i: TURNS[i].end - TURNS[i].start)
SECOND = int(TURNS[LONG].start)


def checked(reader: Reader, *speech: EpisodeSpeech) -> dict[str, TranscriptionResult]:
    transcriber: Any = reader
    return {r.speech.episode: r for r in CoverageTranscriber(transcriber, find_hallucinations).transcribe(speech)}


def transcripts(result: TranscriptionResult) -> Sequence[Transcript]:
    assert not isinstance(result.transcripts, Exception), result.transcripts
    return result.transcripts


def everything(result: TranscriptionResult) -> list[str]:
    return " ".join(t.text for t in transcripts(result)).split()


def test_what_is_whole_is_not_done_again(audio: Audio) -> None:
    reader = Reader(SAID, {})
    (result,) = checked(reader, EpisodeSpeech("a", audio, TURNS, "en")).values()
    assert everything(result) == [w.word for w in SAID]
    assert len(reader.inputs) == 1
    assert {(t.uncovered, tuple(t.redone), tuple(t.flags)) for t in transcripts(result)} == {(0.0, (), ())}


@pytest.mark.parametrize(
    ("loses", "redone"), [("packed", ("alone",)), ("whole", ("alone", "timestamps", "pauses"))], ids=["alone", "cut"]
)
def test_lost_words_come_back(audio: Audio, loses: str, redone: tuple[str, ...]) -> None:
    reader = Reader(SAID, {SECOND: loses})
    results = checked(reader, EpisodeSpeech("a", audio, TURNS, "en"), EpisodeSpeech("b", audio, TURNS[:2], "en"))
    assert everything(results["a"]) == [w.word for w in SAID]
    found = transcripts(results["a"])[LONG]
    assert (tuple(found.redone), found.uncovered, UNCOVERED_SPEECH in found.flags) == (redone, 0.0, False)
    assert all(not t.redone for i, t in enumerate(transcripts(results["a"])) if i != LONG)
    again = [s for s in reader.inputs if s.episode not in "ab"]
    assert {s.language for s in again} == {"en"}
    assert any(s.timestamps for s in again) == ("timestamps" in redone)


def test_what_stays_lost_is_flagged_with_its_seconds(audio: Audio) -> None:
    reader = Reader(SAID, {SECOND: "always", int(TURNS[0].start): "packed"})
    (result,) = checked(reader, EpisodeSpeech("a", audio, TURNS, "en")).values()
    found = transcripts(result)[LONG]
    assert UNCOVERED_SPEECH in found.flags
    assert found.uncovered is not None
    assert 0.75 < found.uncovered < TURNS[LONG].end - TURNS[LONG].start
    assert len(found.text.split()) >= len(load_reference("night-science")[LONG]["words"]) // 2
    assert [UNCOVERED_SPEECH in t.flags for t in transcripts(result)].count(True) == 1


@pytest.mark.parametrize("text", ["Thanks for watching!", "no no no no no no no no no no no no no no no no no"])
def test_a_text_that_was_not_said_is_replaced_by_one_that_was(audio: Audio, text: str) -> None:
    reader = Reader(SAID, {}, invents={SECOND: text})
    (result,) = checked(reader, EpisodeSpeech("a", audio, TURNS, "en")).values()
    assert everything(result) == [w.word for w in SAID]


def test_where_an_attempt_helps_nowhere_in_many_turns_no_other_is_made(audio: Audio) -> None:
    deaf = Reader([], {})
    (result,) = checked(deaf, EpisodeSpeech("a", audio, TURNS * 2, "en")).values()
    assert {tuple(t.redone) for t in transcripts(result)} == {("alone",)}
    assert all(UNCOVERED_SPEECH in t.flags for t in transcripts(result))


def test_an_invented_text_never_replaces_one_that_is_only_incomplete(audio: Audio) -> None:
    class Inventor(Reader):
        def _read_turn(self, turn: Turn, *, company: bool) -> Transcript:
            if company:
                return super()._read_turn(turn, company=True)
            looped = [Word("so", turn.start + i / 4, turn.start + i / 4 + 0.2, 0.5) for i in range(40)]
            return Transcript(" ".join(w.word for w in looped), looped, "en")

    (result,) = checked(Inventor(SAID, {SECOND: "packed"}), EpisodeSpeech("a", audio, TURNS, "en")).values()
    assert "so so" not in transcripts(result)[LONG].text
    assert UNCOVERED_SPEECH in transcripts(result)[LONG].flags


def test_an_episode_that_is_refused_does_not_hold_up_the_others(audio: Audio) -> None:
    reader = Reader(SAID, {SECOND: "packed"}, refuses=("b",))
    results = checked(reader, *(EpisodeSpeech(name, audio, TURNS, "en") for name in "abc"))
    assert isinstance(results["b"].transcripts, BadInput)
    assert everything(results["a"]) == everything(results["c"]) == [w.word for w in SAID]


class Listener(Engine):
    """Engine of a `Reader`."""

    name: ClassVar[str] = "listener"
    loses: str | None = None

    def load(self, device: str | None = None) -> Any:
        return Reader(SAID, {SECOND: self.loses} if self.loses else {})


class Careful(Listener):
    name: ClassVar[str] = "careful"


class LastResort(Listener):
    name: ClassVar[str] = "last resort"
    embedded: ClassVar[bool] = True


@pytest.mark.parametrize(
    "next_engine", [Careful(), LastResort(), Careful(loses="always")], ids=lambda e: f"{e.name} {e.loses}"
)
def test_the_next_engine_of_the_chain_does_what_falls_short_unless_it_is_a_last_resort(
    audio: Audio, next_engine: Listener
) -> None:
    engine = RoutedEngine(routes=(Route(language="*", chain=(Listener(loses="always"), next_engine)),))
    (result,) = engine.load().transcribe([EpisodeSpeech("a", audio, TURNS, "en")])
    found = transcripts(result)[LONG]
    helped = next_engine == Careful()
    assert (found.engine, FALLBACK in found.flags) == (("careful", True) if helped else ("listener", False))
    assert (UNCOVERED_SPEECH in found.flags) is not helped
    assert ("careful" in found.redone) is (next_engine.name == "careful")
    assert (result.fallback is not None) is helped
    assert {t.engine for i, t in enumerate(transcripts(result)) if i != LONG} == {"listener"}


def test_it_can_be_switched_off(audio: Audio) -> None:
    engine = RoutedEngine(routes=(Route(language="*", chain=(Listener(loses="packed"),)),), coverage=False)
    (result,) = engine.load().transcribe([EpisodeSpeech("a", audio, TURNS, "en")])
    assert {t.uncovered for t in transcripts(result)} == {None}
    assert engine.identity() != engine.model_copy(update={"coverage": True}).identity()


def test_what_failed_is_left_to_the_next_engine(audio: Audio) -> None:
    class Failing(Reader):
        def _read_turn(self, turn: Turn, *, company: bool) -> Transcript:
            return Transcript("", flags=(UNTRANSCRIBED,))

    reader = Failing(SAID, {})
    (result,) = checked(reader, EpisodeSpeech("a", audio, TURNS[:1], "en")).values()
    assert len(reader.inputs) == 1
    assert UNTRANSCRIBED in transcripts(result)[0].flags
