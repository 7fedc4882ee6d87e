"""The aligner on sounds whose truth is known exactly: each letter is a tone of its own, and the "model" measures the tones."""

import itertools
import unicodedata

import numpy as np
import numpy.typing as npt
import pytest

from podcast_assets.speech.aligners.alignment import words_without_times
from podcast_assets.speech.aligners.ctc import ctc
from podcast_assets.speech.aligners.ctc.ctc import (
    CONTEXT,
    FRAME,
    SHORTEST,
    WINDOW,
    Alphabet,
    CtcAligner,
    Logits,
    best_path,
    split_windows,
)
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Word

ABC = "abcdefghijklmnopqrstuvwxyz'"
ALPHABET = Alphabet({letter: i + 1 for i, letter in enumerate(ABC)}, blank=0)
FRAME_SECONDS = FRAME / SAMPLE_RATE
_FREQUENCIES = 400 + 200 * np.arange(len(ABC))
_TIMES = np.arange(SHORTEST) / SAMPLE_RATE
_WAVES = np.exp(-2j * np.pi * _FREQUENCIES[:, None] * _TIMES) * np.hanning(SHORTEST) / SHORTEST


def tones(samples: Samples) -> Logits:
    """Shape (frames, 1 + len(ABC)): which tone sounds in each frame, or none."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, SHORTEST)[::FRAME]
    strength = np.abs(frames @ _WAVES.T)
    logits = np.concatenate([np.full((len(frames), 1), 0.5), strength / (strength.max() + 1e-9)], axis=1)
    return (12 * logits).astype(np.float32)


def say(script: list[tuple[str, float]]) -> tuple[Samples, list[tuple[str, float, float]]]:
    """Sound of words and pauses (s), and when each word is said: 0.06 s a letter, 0.02 s between letters that are the same."""
    sound: list[npt.NDArray[np.float64]] = []
    said: list[tuple[str, float, float]] = []
    at = 0
    for word, pause in script:
        parts = []
        for i, letter in enumerate(word):
            if i and word[i - 1] == letter:
                parts.append(np.zeros(FRAME))
            times = np.arange(3 * FRAME) / SAMPLE_RATE
            parts.append(np.sin(2 * np.pi * _FREQUENCIES[ABC.index(letter)] * times))
        length = sum(map(len, parts))
        said.append((word, at / SAMPLE_RATE, (at + length) / SAMPLE_RATE))
        silence = round(pause * SAMPLE_RATE)
        sound += [*parts, np.zeros(silence)]
        at += length + silence
    noise = np.random.default_rng(0).normal(0, 0.01, at)
    return (np.concatenate(sound) + noise).astype(np.float32), said


def assert_within_a_frame(words: list[Word], said: list[tuple[str, float, float]]) -> None:
    assert [w.word for w in words] == [word for word, _, _ in said]
    for word, (_, start, end) in zip(words, said, strict=True):
        assert word.start == pytest.approx(start, abs=FRAME_SECONDS + 1e-6), word
        assert word.end == pytest.approx(end, abs=FRAME_SECONDS + 1e-6), word
        assert word.probability is not None
        assert 0.5 < word.probability <= 1


@pytest.fixture
def aligner() -> CtcAligner:
    return CtcAligner(tones, ALPHABET)


def test_words_are_where_they_were_said(aligner: CtcAligner):
    audio, said = say([("hello", 0.3), ("good", 0.0), ("people", 1.1), ("of", 0.02), ("rome", 0.5)])
    assert_within_a_frame(aligner.align(audio, "hello good people of rome", "en"), said)


def test_a_long_turn_is_heard_in_windows_without_a_seam(aligner: CtcAligner):
    random = np.random.default_rng(1)
    script = [("".join(random.choice(list(ABC[:26]), 4)), float(random.uniform(0.0, 0.4))) for _ in range(200)]
    audio, said = say(script)
    assert len(audio) > 2 * WINDOW
    lengths: list[int] = []

    def bounded(samples: Samples) -> Logits:
        lengths.append(len(samples))
        return tones(samples)

    words = CtcAligner(bounded, ALPHABET).align(audio, " ".join(w for w, _ in script), None)
    assert_within_a_frame(words, said)
    assert max(lengths) <= WINDOW + 2 * CONTEXT + SAMPLE_RATE


def test_spelling_and_order_of_the_text_are_kept(aligner: CtcAligner):
    audio, said = say([("cafe", 0.2), ("dont", 0.1), ("zoe's", 0.2)])
    words = aligner.align(audio, "«Café» — DON-T, Zoë\u2019s!", "en")
    assert [w.word for w in words] == ["«Café»", "—", "DON-T,", "Zoë\u2019s!"]
    assert words[1] == Word("—", None, None, None)
    assert_within_a_frame(
        [Word(s[0], w.start, w.end, w.probability) for s, w in zip(said, [words[0], *words[2:]], strict=True)], said
    )


def test_what_cannot_be_spelled_has_no_time_and_pulls_no_neighbour(aligner: CtcAligner):
    audio, said = say(
        [("born", 0.04), ("nineteen", 0.0), ("ninety", 0.04), ("at", 0.04), ("moskva", 0.04), ("then", 0.1)]
    )
    words = aligner.align(audio, "born 1990 at Москва then", "en")
    assert [w.word for w in words if w.start is None] == ["1990", "Москва"]
    assert_within_a_frame([words[0], words[2], words[4]], [said[0], said[3], said[5]])


def test_speech_that_the_text_lacks_pulls_no_neighbour(aligner: CtcAligner):
    audio, said = say([("we", 0.04), ("really", 0.04), ("know", 0.2)])
    assert_within_a_frame(aligner.align(audio, "we know", None), [said[0], said[2]])


def test_a_word_that_was_not_said_is_unlikely(aligner: CtcAligner):
    audio, _ = say([("we", 0.2), ("know", 0.2)])
    we, not_, know = aligner.align(audio, "we quiz know", None)
    assert we.probability is not None
    assert not_.probability is not None
    assert know.probability is not None
    assert not_.probability < 0.1 < 0.5 < min(we.probability, know.probability)


def test_other_scripts_are_romanized_where_that_is_asked_for():
    audio, said = say([("privet", 0.2), ("rim", 0.1)])
    aligner = CtcAligner(tones, ALPHABET, {"Привет": "Privet", "Рим": "Rim"}.__getitem__)
    words = aligner.align(audio, "Привет Рим", "ru")
    assert [w.word for w in words] == ["Привет", "Рим"]
    assert_within_a_frame([Word(s[0], w.start, w.end, w.probability) for s, w in zip(said, words, strict=True)], said)


def test_a_text_longer_than_its_audio_is_left_without_times(aligner: CtcAligner):
    audio, _ = say([("hello", 0.0)])
    text = "far more letters than this has frames"
    assert aligner.align(audio, text, "en") == words_without_times(text.split())


@pytest.mark.parametrize("samples", [0, 1, SHORTEST - 1])
def test_audio_of_less_than_a_frame_has_no_times(aligner: CtcAligner, samples: int):
    assert aligner.align(np.zeros(samples, np.float32), "hello", "en") == words_without_times(["hello"])


def test_audio_of_one_frame_holds_one_letter(aligner: CtcAligner):
    audio = say([("a", 0.0)])[0][:SHORTEST]
    assert aligner.align(audio, "a", None)[0].start == 0.0
    assert aligner.align(audio, "ab", None) == words_without_times(["ab"])


def test_a_text_without_letters_is_not_looked_for():
    def never(samples: Samples) -> Logits:
        raise AssertionError("the model was asked")

    assert CtcAligner(never, ALPHABET).align(np.ones(SAMPLE_RATE, np.float32), "42 — 7", None) == words_without_times(
        ["42", "—", "7"]
    )


@pytest.mark.parametrize(
    ("logits", "complaint"),
    [
        (np.zeros((10, 28), np.float32), "not a row for every 320"),
        (np.zeros((49, 20), np.float32), "knows 20 letters, its vocabulary has 28"),
        (np.full((49, 28), np.nan, np.float32), "not finite"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(logits: Logits, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        CtcAligner(lambda _: logits, ALPHABET).align(np.ones(SAMPLE_RATE, np.float32), "hello", None)


def likeliest(emissions: npt.NDArray[np.float32], states: list[int], skip: list[bool]) -> float:
    """Log probability of the likeliest of all ways, each tried; minus infinity where there is none."""
    best = -np.inf
    for path in itertools.product(range(len(states)), repeat=len(emissions)):
        allowed = path[0] < 2 and path[-1] >= len(states) - 2
        allowed &= all(b - a in (0, 1) or (b - a == 2 and skip[b]) for a, b in itertools.pairwise(path))
        if allowed:
            best = max(best, sum(float(emissions[t, states[s]]) for t, s in enumerate(path)))
    return best


@pytest.mark.parametrize("cells", [2**26, 1])
@pytest.mark.parametrize("letters", [[2], [2, 3], [3, 3], [2, 2, 3]])
def test_the_search_finds_the_likeliest_way(monkeypatch: pytest.MonkeyPatch, letters: list[int], cells: int):
    monkeypatch.setattr(ctc, "_MAX_CELLS", cells)
    targets = np.array(letters)
    starts = np.array([True, *[False] * (len(letters) - 1)])
    states = [1, *itertools.chain.from_iterable((letter, 0) for letter in letters[:-1]), letters[-1], 1]
    skip = [s % 2 == 1 and s > 1 and states[s] != states[s - 2] for s in range(len(states))]
    for seed in range(10):
        emissions = np.random.default_rng(seed).normal(-2, 1, (5, 4)).astype(np.float32)
        path = best_path(emissions, targets, starts)
        best = likeliest(emissions, states, skip)
        if path is None:
            assert best == -np.inf
        else:
            assert sum(float(emissions[t, states[s]]) for t, s in enumerate(path)) == pytest.approx(best, abs=1e-4)
            assert set(range(1, len(states), 2)) <= set(path.tolist())


def test_equal_letters_need_a_frame_between_them():
    emissions = np.zeros((2, 3), np.float32)
    assert best_path(emissions, np.array([2, 2]), np.array([True, False])) is None
    path = best_path(np.zeros((3, 3), np.float32), np.array([2, 2]), np.array([True, False]))
    assert path is not None
    assert path.tolist() == [1, 2, 3]


@pytest.mark.parametrize("samples", [1, WINDOW, WINDOW + 1, WINDOW + SAMPLE_RATE, WINDOW + SAMPLE_RATE + 1, 5 * WINDOW])
def test_windows_cover_the_audio_and_are_bounded(samples: int):
    made = split_windows(samples)
    assert made[0][0] == 0
    assert made[-1][1] == samples
    assert all(a[1] == b[0] for a, b in itertools.pairwise(made))
    assert all(start % FRAME == 0 and 0 < end - start <= WINDOW + SAMPLE_RATE for start, end in made)


@pytest.mark.parametrize(
    ("word", "letters", "spelled"),
    [
        ("Hello,", ABC, "hello"),
        ("ÀÉÎ", ABC, "aei"),
        ("“don\u2019t”", ABC, "don't"),
        ("'quoted'", ABC, "quoted"),
        ("well-known", ABC, "wellknown"),
        ("well-known", ABC + "-", "well-known"),
        ("Straße", ABC, "strasse"),
        ("Straße", ABC + "ß", "straße"),
        ("Müller", ABC + "ü", "müller"),
        (unicodedata.normalize("NFD", "Müller"), ABC + "ü", "müller"),
        ("ﬁnd", ABC, "find"),
        ("hello", ABC.upper(), "HELLO"),
        ("ΣΟΦΟΣ", "σοφ", "σοφοσ"),
        ("नमस्ते", "नमस्ते", "नमस्ते"),
        ("안녕", "안녕", "안녕"),
        ("1990", ABC + "190", "1990"),
        ("R&D", ABC, "rd"),
        ("1990", ABC, ""),
        ("COVID-19", ABC, ""),
        ("Ærø", ABC, ""),
        ("Привет", ABC, ""),
        ("—", ABC, ""),
        ("$", ABC, ""),
        ("", ABC, ""),
    ],
)
def test_a_word_is_spelled_as_the_model_writes(word: str, letters: str, spelled: str):
    alphabet = Alphabet({letter: i + 1 for i, letter in enumerate(dict.fromkeys(letters))}, 0)
    assert alphabet.spell(word) == [alphabet.letters[letter] for letter in spelled]
