"""Batches across episodes: full, halved when memory runs out, and one bad window alone with its error."""

import threading
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import pytest

from podcast_assets.speech.transcribers import minibatches as batches
from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.window_results import PlannedWindow, WindowResult, words_lie_outside
from podcast_assets.speech.transcribers.windows import Piece, Window, cut_turns
from podcast_assets.speech.types import (
    LANGUAGE_DIFFERS,
    SAMPLE_RATE,
    UNTRANSCRIBED,
    WORDS_OUTSIDE,
    EpisodeSpeech,
    Transcript,
    TranscriptionResult,
    Turn,
    Word,
)


def speech(name: str, turns: int, language: str = "en", value: float = 0.1) -> EpisodeSpeech:
    audio = np.full(turns * SAMPLE_RATE, value, np.float32)
    return EpisodeSpeech(name, audio, [Turn(i, i + 1, "A") for i in range(turns)], language)


def plan(item: EpisodeSpeech) -> list[PlannedWindow]:
    return [PlannedWindow(Window((p,)), item.language, item.language) for p in cut_turns(item.audio, item.turns, 30)]


class LoudnessRecognizer:
    """Returns a window's first sample as its only word; raises an error where `wrong` returns one."""

    def __init__(self, wrong: Callable[[Sequence[WindowInput]], Exception | None] = lambda inputs: None) -> None:
        self.sizes: list[int] = []
        self.keys: list[Hashable] = []
        self.wrong = wrong

    def __call__(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        if error := self.wrong(inputs):
            raise error
        self.sizes.append(len(inputs))
        self.keys.append(key)
        return [WindowResult([Word(f" {s.content[0]:.1f}", 0.0, s.seconds, 1.0)], -0.5) for s in inputs]


def transcripts(heard: TranscriptionResult) -> Sequence[Transcript]:
    assert not isinstance(heard.transcripts, Exception), heard.transcripts
    return heard.transcripts


def test_batches_are_filled_across_episodes() -> None:
    recognizer = LoudnessRecognizer()
    work = [speech(f"e{i}", 3, value=i / 10) for i in range(10)]
    heard = list(Batcher("tool", plan, recognizer, 8).transcribe(work))
    assert recognizer.sizes == [8, 8, 8, 6]
    assert [h.speech.episode for h in heard] == [f"e{i}" for i in range(10)]
    for i, item in enumerate(heard):
        assert [t.text for t in transcripts(item)] == [f"{i / 10:.1f}"] * 3
        assert [t.words[0].start for t in transcripts(item)] == [0.0, 1.0, 2.0]


def test_an_episode_is_given_back_while_the_next_minibatch_is_recognized() -> None:
    """What is done is checkpointed: a crash later costs the episodes in flight, no more: one heard, one being prepared."""
    taken: list[str] = []

    def source() -> object:
        for i in range(20):
            taken.append(f"e{i}")
            yield speech(f"e{i}", 4)

    first = next(iter(Batcher("tool", plan, LoudnessRecognizer(), 4).transcribe(source())))  # type: ignore[arg-type]
    assert (first.speech.episode, len(taken)) == ("e0", 3)


def test_what_is_done_is_written_down_while_the_next_minibatch_is_recognized() -> None:
    """Whoever takes the episodes may be slow; the device is not to wait for it."""
    second = threading.Event()

    class Watched(LoudnessRecognizer):
        def __call__(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
            if self.sizes:
                second.set()
            return super().__call__(key, inputs)

    stream = Batcher("tool", plan, Watched(), 4).transcribe([speech(f"e{i}", 4) for i in range(4)])
    next(stream)
    assert second.wait(600), "nobody has asked for the second episode yet"
    assert len(list(stream)) == 3


def test_only_windows_of_one_key_share_a_batch() -> None:
    recognizer = LoudnessRecognizer()
    work = [speech(f"e{i}", 2, "en" if i % 2 else "de") for i in range(8)]
    assert len(list(Batcher("tool", plan, recognizer, 4).transcribe(work))) == 8
    assert recognizer.sizes == [4, 4, 4, 4]
    assert set(recognizer.keys) == {"en", "de"}


def test_out_of_memory_halves_the_batch_for_good_and_loses_nothing() -> None:
    def wrong(inputs: Sequence[WindowInput]) -> Exception | None:
        return RuntimeError("CUDA failed with error out of memory") if len(inputs) > 3 else None

    recognizer = LoudnessRecognizer(wrong)
    batcher = Batcher("tool", plan, recognizer, 16)
    heard = list(batcher.transcribe([speech(f"e{i}", 5, value=i / 10) for i in range(8)]))
    assert [[t.text for t in transcripts(h)] for h in heard] == [[f"{i / 10:.1f}"] * 5 for i in range(8)]
    assert batcher.batch_size == 2
    assert max(recognizer.sizes) == 2


def test_one_window_that_cannot_be_done_is_flagged_and_takes_no_other_down() -> None:
    def wrong(inputs: Sequence[WindowInput]) -> Exception | None:
        return ValueError("no such mel") if any(s.content[0] > 0.8 for s in inputs) else None

    bad = speech("bad", 3)
    bad.audio[SAMPLE_RATE : 2 * SAMPLE_RATE] = 0.9  # type: ignore[index]
    heard = list(Batcher("tool", plan, LoudnessRecognizer(wrong), 8).transcribe([speech("a", 2), bad, speech("c", 2)]))
    assert [h.fallback for h in heard] == [None, "tool: 1 of 3 segments: ValueError: no such mel", None]
    (one, two, three) = transcripts(heard[1])
    assert ((one.text, two.text, three.text), two.flags) == (("0.1", "", "0.1"), (UNTRANSCRIBED,))


def test_an_episode_of_which_nothing_can_be_done_has_its_error() -> None:
    heard = list(
        Batcher("tool", plan, LoudnessRecognizer(lambda inputs: ValueError("no")), 8).transcribe([speech("a", 2)])
    )
    assert isinstance(heard[0].transcripts, ValueError)


def test_a_broken_device_concerns_every_episode() -> None:
    broken = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal memory"):
        list(Batcher("tool", plan, LoudnessRecognizer(lambda inputs: broken), 8).transcribe([speech("a", 2)]))


def test_episodes_do_not_wait_for_ever_in_a_rare_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WAITING_SECONDS", 10.0)
    batcher = Batcher("tool", plan, LoudnessRecognizer(), 8)
    work = [speech("rare", 1, "is"), *(speech(f"e{i}", 3) for i in range(12))]
    names = [h.speech.episode for h in batcher.transcribe(work)]
    assert sorted(names) == sorted(s.episode for s in work)
    assert names.index("rare") < 6


def test_an_episode_without_speech_is_done_at_once() -> None:
    nothing = EpisodeSpeech("none", np.zeros(0, np.float32), [Turn(0, 1, "A")], "en")
    (heard,) = Batcher("tool", plan, LoudnessRecognizer(), 8).transcribe([nothing])
    assert [t.text for t in transcripts(heard)] == [""]


def test_a_turn_of_several_windows_is_one_text_in_order() -> None:
    audio = np.concatenate([np.full(SAMPLE_RATE, v, np.float32) for v in (0.1, 0.2, 0.3)])
    item = EpisodeSpeech("long", audio, [Turn(0, 3, "A")], "en")
    seconds = [PlannedWindow(Window((Piece(0, i * SAMPLE_RATE, (i + 1) * SAMPLE_RATE),)), "en", "en") for i in range(3)]
    (heard,) = Batcher("tool", lambda s: seconds, LoudnessRecognizer(), 2).transcribe([item])
    (transcript,) = transcripts(heard)
    assert transcript.text == "0.1 0.2 0.3"
    times = [t for w in transcript.words for t in (w.start, w.end) if t is not None]
    assert len(times) == 6
    assert times == sorted(times)
    assert transcript.avg_logprob == pytest.approx(-0.5)


def test_what_sounds_like_another_language_is_flagged() -> None:
    def recognize(key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        return [WindowResult([], language_probability=0.1, detected_language=("de", 0.85)) for _ in inputs]

    (heard,) = Batcher("tool", plan, recognize, 2).transcribe([speech("a", 1, "en")])
    (transcript,) = transcripts(heard)
    assert (transcript.flags, transcript.language, transcript.language_probability) == ((LANGUAGE_DIFFERS,), "en", 0.1)


@pytest.mark.parametrize(("outside", "flagged"), [(0, False), (1, False), (2, True), (9, True)])
def test_words_placed_after_their_turn_are_flagged_and_moved(outside: int, flagged: bool) -> None:
    """A recognizer that computes 30 s may write of the silence behind a turn of one second."""

    def recognize(key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        inside = [Word(f" {n}", 0.09 * n, 0.09 * n + 0.09, 0.9) for n in range(10 - outside)]
        behind = [Word(" there", 1.5 + n, 1.9 + n, 0.9) for n in range(outside)]
        return [WindowResult([*inside, *behind]) for _ in inputs]

    (heard,) = Batcher("tool", plan, recognize, 1).transcribe([speech("a", 1)])
    (transcript,) = transcripts(heard)
    assert transcript.flags == ((WORDS_OUTSIDE,) if flagged else ())
    assert max(w.end for w in transcript.words if w.end is not None) <= 1.0


def test_words_a_few_frames_off_or_without_times_are_not_outside() -> None:
    said = [Word("a", -0.05, 0.5, None), Word("b", 0.5, 1.4, None), Word("c", None, None, None)]
    assert not words_lie_outside(Turn(0.0, 1.0, None), said)
    assert not words_lie_outside(Turn(0.0, 1.0, None), [Word("c", None, None, None)])
    assert words_lie_outside(Turn(0.0, 1.0, None), [Word("a", -0.4, 0.1, None)])


def test_words_in_the_silence_between_packed_turns_are_told() -> None:
    window = Window((Piece(0, 0, SAMPLE_RATE), Piece(2, 2 * SAMPLE_RATE, 3 * SAMPLE_RATE)))

    def recognize(key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        return [WindowResult([Word(" one", 0.1, 0.5, 0.9), Word(" made", 1.1, 1.3, 0.9), Word(" two", 1.6, 1.9, 0.9)])]

    (heard,) = Batcher("tool", lambda s: [PlannedWindow(window, "en", "en")], recognize, 1).transcribe([speech("a", 3)])
    assert [(t.text, t.flags) for t in transcripts(heard)] == [("one made", (WORDS_OUTSIDE,)), ("", ()), ("two", ())]


def test_words_of_a_packed_window_go_to_their_turns() -> None:
    window = Window((Piece(0, 0, SAMPLE_RATE), Piece(2, 2 * SAMPLE_RATE, 3 * SAMPLE_RATE)))
    turns = [Turn(0, 1, "A"), Turn(1, 2, "B"), Turn(2, 3, "A")]

    def recognize(key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        return [WindowResult([Word(" one", 0.1, 0.9, 0.5), Word(" three", 1.6, 2.2, 0.5), Word(".", None, None, None)])]

    (heard,) = Batcher("tool", lambda s: [PlannedWindow(window)], recognize, 2).transcribe(
        [EpisodeSpeech("e", np.zeros(3 * SAMPLE_RATE, np.float32), turns)]
    )
    one, two, three = transcripts(heard)
    assert (one.text, two.text, three.text) == ("one", "", "three.")
    assert (three.words[0].start, three.words[0].end) == (2.1, 2.7)


def test_two_minibatches_are_recognized_at_once_and_are_the_same_as_one_after_the_other() -> None:
    work = [speech(f"e{i}", 3, value=i / 10) for i in range(8)]
    one, two = LoudnessRecognizer(), LoudnessRecognizer()
    together = threading.Barrier(2)

    def recognize(key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        together.wait(timeout=60)
        return two(key, inputs)

    expected = list(Batcher("tool", plan, one, 4).transcribe(work))
    found = list(Batcher("tool", plan, recognize, 4, at_once=2).transcribe(work))
    assert [(r.speech.episode, transcripts(r)) for r in found] == [(r.speech.episode, transcripts(r)) for r in expected]
    assert two.sizes == one.sizes == [4] * 6
