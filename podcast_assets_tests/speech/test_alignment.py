import logging
from dataclasses import replace

import numpy as np
import pytest

from podcast_assets.speech.aligners.alignment import UNALIGNED, align_transcripts, split_words, words_without_times
from podcast_assets.speech.types import SAMPLE_RATE, Pcm, Samples, Transcript, Turn, Word

AUDIO = np.zeros(20 * SAMPLE_RATE, np.float32)


class Evenly:
    """Says that the words fill the audio evenly, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, str | None]] = []

    def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
        self.asked.append((len(audio) / SAMPLE_RATE, text, language))
        assert audio.dtype == np.float32
        words = split_words(text)
        each = len(audio) / SAMPLE_RATE / len(words)
        return [Word(w, i * each, (i + 1) * each, 0.5) for i, w in enumerate(words)]


class Saying(Evenly):
    """Gives what it is told to give."""

    def __init__(self, words: list[Word] | Exception) -> None:
        super().__init__()
        self.words = words

    def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
        if isinstance(self.words, Exception):
            raise self.words
        return self.words


def times(transcript: Transcript) -> list[tuple[float | None, float | None]]:
    return [(w.start, w.end) for w in transcript.words]


def test_words_get_times_from_the_start_of_the_episode():
    aligner = Evenly()
    turn = Turn(4.0, 6.0, "A")
    before = Transcript("Hello, world", language="en", avg_logprob=-0.5, flags=("other",))
    after = align_transcripts(aligner, AUDIO, [turn], [before])[0]
    assert after == replace(before, words=[Word("Hello,", 4.0, 5.0, 0.5), Word("world", 5.0, 6.0, 0.5)])
    assert aligner.asked == [(2.0, "Hello, world", "en")]


def test_an_episode_held_as_16_bit_samples_will_do():
    aligned = align_transcripts(Evenly(), Pcm(np.zeros(SAMPLE_RATE, np.int16)), [Turn(0, 1, None)], [Transcript("one")])
    assert times(aligned[0]) == [(0.0, 1.0)]


@pytest.mark.parametrize(
    "transcript",
    [
        Transcript(""),
        Transcript("  "),
        Transcript("said before", words=[Word("said", 0.1, 0.2, 0.9), Word("before", None, None, None)]),
    ],
)
def test_what_has_times_or_no_text_is_left_as_it_is(transcript: Transcript):
    aligner = Evenly()
    assert align_transcripts(aligner, AUDIO, [Turn(0.0, 1.0, "A")], [transcript])[0] is transcript
    assert not aligner.asked


def test_words_without_any_time_are_aligned_again():
    untimed = Transcript("a b", words=words_without_times(["a", "b"]))
    assert times(align_transcripts(Evenly(), AUDIO, [Turn(0.0, 1.0, "A")], [untimed])[0]) == [(0.0, 0.5), (0.5, 1.0)]


def test_a_turn_that_fails_keeps_its_text_and_takes_no_other_down(caplog: pytest.LogCaptureFixture):
    class Fussy(Evenly):
        def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
            if "bad" in text:
                raise RuntimeError("no idea")
            return super().align(audio, text, language)

    turns = [Turn(i, i + 1.0, "A") for i in range(3)]
    with caplog.at_level(logging.WARNING):
        aligned = align_transcripts(Fussy(), AUDIO, turns, [Transcript(t) for t in ("one", "bad two", "three")])
    assert [t.text for t in aligned] == ["one", "bad two", "three"]
    assert aligned[1].words == [Word("bad", None, None, None), Word("two", None, None, None)]
    assert [t.flags for t in aligned] == [(), (UNALIGNED,), ()]
    assert times(aligned[0]) == [(0.0, 1.0)]
    assert times(aligned[2]) == [(2.0, 3.0)]
    assert "1 of 3 turns cannot be aligned: no idea" in caplog.text


def test_a_broken_device_is_no_turns_error():
    broken = Saying(RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="CUDA"):
        align_transcripts(broken, AUDIO, [Turn(0.0, 1.0, "A")], [Transcript("one")])


def test_a_turn_none_of_whose_words_can_be_placed_is_flagged_once():
    transcript = Transcript("42 43", flags=("other", UNALIGNED))
    aligned = align_transcripts(Saying(words_without_times(["42", "43"])), AUDIO, [Turn(0.0, 1.0, "A")], [transcript])[
        0
    ]
    assert aligned.words == words_without_times(["42", "43"])
    assert aligned.flags == ("other", UNALIGNED)


def test_one_word_that_cannot_be_placed_is_no_flag():
    words = [Word("at", 0.2, 0.4, 0.9), Word("42", None, None, None)]
    aligned = align_transcripts(Saying(words), AUDIO, [Turn(1.0, 2.0, "A")], [Transcript("at 42")])[0]
    assert times(aligned) == [(1.2, 1.4), (None, None)]
    assert aligned.flags == ()


def test_an_aligner_that_changes_the_words_is_not_believed():
    aligned = align_transcripts(Saying([Word("two", 0, 1, 1)]), AUDIO, [Turn(0.0, 1.0, "A")], [Transcript("one")])[0]
    assert aligned.words == words_without_times(["one"])
    assert aligned.flags == (UNALIGNED,)


def test_times_stay_in_the_turn_and_in_order():
    wild = [Word("a", -0.5, 0.3, 1), Word("b", 0.2, 0.25, 1), Word("c", 0.9, 7.0, 1), Word("d", 8.0, 9.0, 1)]
    aligned = align_transcripts(Saying(wild), AUDIO, [Turn(5.0, 6.0, "A")], [Transcript("a b c d")])[0]
    assert times(aligned) == [(5.0, 5.3), (5.3, 5.3), (5.9, 6.0), (6.0, 6.0)]


def test_a_turn_outside_the_audio_gets_no_times():
    aligner = Saying(words_without_times(["one"]))
    assert align_transcripts(aligner, AUDIO, [Turn(30.0, 31.0, "A")], [Transcript("one")])[0].flags == (UNALIGNED,)


def test_a_turn_too_long_to_align_is_not_tried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("podcast_assets.speech.aligners.alignment.LONGEST_SECONDS", 10.0)
    aligner = Evenly()
    aligned = align_transcripts(
        aligner, AUDIO, [Turn(0.0, 11.0, "A"), Turn(11.0, 12.0, "A")], [Transcript("one two"), Transcript("three")]
    )
    assert [t.flags for t in aligned] == [(UNALIGNED,), ()]
    assert [w.word for w in aligned[0].words] == ["one", "two"]
    assert len(aligner.asked) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  Well,  don\u2019t\nsay — “so”! ", ["Well,", "don\u2019t", "say", "—", "“so”!"]),
        ("COVID-19 costs $5.50", ["COVID-19", "costs", "$5.50"]),
        ("我用iPhone手机。", ["我", "用", "iPhone", "手", "机。"]),
        ("说「你好」吧", ["说", "「你", "好」", "吧"]),
        ("一 two三", ["一", "two", "三"]),
        ("こんにちは", list("こんにちは")),
        ("ที่นี่", ["ที่", "นี่"]),
        ("foo(bar) नमस्ते 안녕하세요", ["foo(bar)", "नमस्ते", "안녕하세요"]),
    ],
)
def test_a_text_is_split_into_words_and_nothing_is_lost(text: str, words: list[str]):
    assert split_words(text) == words
    assert "".join(words) == "".join(text.split())
