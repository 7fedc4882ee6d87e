"""Accuracy that got worse is noticed, and what is not measured here is not."""

import pytest

from benchmarks.accuracy import command
from benchmarks.accuracy.corpora import Recording, sample_batch
from benchmarks.accuracy.figures import Result, measure
from podcast_assets.demo import load_reference
from podcast_assets.speech.types import Turn, Word


def figures(wer: float, language: float = 1.0) -> command.Figures:
    return {"profile": {"reading": {"WER": wer}, "languages": {"language right": language}}}


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (figures(0.10), []),
        (figures(0.12), []),
        (figures(0.05), []),
        (figures(0.13), ["profile, reading: WER 0.1300"]),
        (figures(0.10, 0.97), []),
        (figures(0.10, 0.9), ["profile, languages: language right 0.9000"]),
        ({"profile": {"reading": {"WER": 0.1}}}, []),
        ({}, []),
    ],
)
def test_figures_that_are_worse_by_more_than_their_noise(now: command.Figures, worse: list[str]) -> None:
    found = list(command.compare(now, figures(0.10), figures(0.02, 0.0)))
    assert [line.strip().split(", recorded")[0] for line in found] == worse


@pytest.fixture
def recording() -> Recording:
    return next(iter(sample_batch()))


def result(recording: Recording, words: list[Word], turns: list[Turn]) -> Result:
    return Result(" ".join(w.word for w in words), words, turns, "en", 60.0)


def test_a_perfect_result_has_no_errors(recording: Recording) -> None:
    perfect = result(recording, list(recording.words or ()), list(recording.turns or ()))
    assert set(measure([recording], {recording.name: perfect})["sample batch"].values()) == {0.0}


def test_lost_words_late_words_and_a_lost_speaker_are_counted(recording: Recording) -> None:
    reference = load_reference(recording.name)
    said = list(recording.words or ())
    lost = len(reference[-1]["words"])
    late = [Word(w.word, w.start + 0.1, w.end, None) for w in said[: len(said) - lost] if w.start is not None]
    one_voice = [Turn(t.start, t.end, "A") for t in recording.turns or ()]
    found = measure([recording], {recording.name: result(recording, late, one_voice)})["sample batch"]
    assert found["words deleted"] == pytest.approx(lost / len(said), abs=0.02)
    assert found["median error of a word's start, ms"] == pytest.approx(100)
    assert found["speakers missed or invented"] == len({t.speaker for t in recording.turns or ()}) - 1
    assert found["DER"] > 0.1
