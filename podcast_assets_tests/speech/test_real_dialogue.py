"""A dialogue of real voices that talk over each other: what a real Whisper leaves out of packed turns comes back."""

from pathlib import Path

import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.engine import make_engine
from podcast_assets.quality.text.measures import find_hallucinations
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.speech.segmentation import PRESETS, segment
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Transcript, Turn
from podcast_assets_tests.dialogues import make_dialogue

WHISPER = make_engine("transcriber", "faster-whisper", model="tiny.en", device="cpu", threads=2)


@pytest.fixture(scope="module")
def speech(real_audio: Path) -> EpisodeSpeech:
    if not check_available(WHISPER)[0]:
        pytest.skip("tiny.en is not on this machine (extra offline)")
    dialogue = make_dialogue(real_audio, ("sonnet-2", "sense", "jfk"), -0.4, 7)
    diarization = make_engine("diarizer", "embedded", threads=2).load().diarize(dialogue.samples)
    return EpisodeSpeech("dialogue", dialogue.samples, segment(diarization, dialogue.samples, PRESETS["asr"]), "en")


def transcribe(speech: EpisodeSpeech, *, coverage: bool) -> list[Transcript]:
    engine = RoutedEngine(routes=(Route(language="*", chain=(WHISPER,)),), coverage=coverage)
    (result,) = engine.load(None, find_hallucinations).transcribe([speech])
    assert not isinstance(result.transcripts, Exception)
    return list(result.transcripts)


def test_no_word_of_a_dialogue_is_lost(speech: EpisodeSpeech) -> None:
    before, after = (transcribe(speech, coverage=coverage) for coverage in (False, True))
    again = [i for i, t in enumerate(after) if t.redone]
    assert again, "nothing was lost: this dialogue shows nothing"
    assert [t.text for i, t in enumerate(after) if i not in again] == [
        t.text for i, t in enumerate(before) if i not in again
    ]
    assert all(t.uncovered == 0 for t in after)
    assert all(len(after[i].text.split()) > len(before[i].text.split()) for i in again)


def test_a_word_that_an_edge_splits_is_neither_lost_nor_doubled(real_audio: Path) -> None:
    if not check_available(WHISPER)[0]:
        pytest.skip("tiny.en is not on this machine (extra offline)")
    audio = decode(real_audio / "libri-1088-0000.flac")
    seconds = len(audio) / SAMPLE_RATE
    whole = EpisodeSpeech("whole", audio, [Turn(0.0, seconds, "A")], "en")
    (expected,) = transcribe(whole, coverage=False)
    long = [w for w in expected.words if w.start and w.end and w.end - w.start > 0.3 and 2 < w.start < seconds - 2]
    for split in long[::4]:
        assert split.start is not None and split.end is not None
        edge = round((split.start + split.end) / 2, 3)
        turns = [Turn(0.0, edge, "A"), Turn(edge, seconds, "B")]
        found = " ".join(t.text for t in transcribe(EpisodeSpeech("cut", audio, turns, "en"), coverage=False))
        word = form(split.word)
        assert [form(w) for w in found.split()].count(word) == [form(w.word) for w in expected.words].count(word), found


def form(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalpha())
