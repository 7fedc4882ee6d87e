"""PocketSphinx' aligner against the word times of the sample batch, and on real recordings where they are at hand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from podcast_assets.audio.decode import decode
from podcast_assets.demo import BATCH, load_reference
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.aligners.alignment import Aligner, align_transcripts, words_without_times
from podcast_assets.speech.aligners.pocketsphinx import _SOUNDS, guess_sounds, spoken_parts
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Transcript, Turn, Word

pocketsphinx = pytest.importorskip("pocketsphinx", reason="needs pocketsphinx")


@dataclass(frozen=True)
class Episode:
    audio: Samples
    turns: list[Turn]
    words: list[list[tuple[str, float, float]]]
    """Of each turn: word, start and end in the episode, s."""


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return make_engine("aligner", "pocketsphinx-align").load()


@pytest.fixture(scope="module")
def episode() -> Episode:
    reference = load_reference("night-science")
    turns = [Turn(t["start"], t["end"], t["speaker"]) for t in reference]
    words = [[(w, s, e) for w, s, e in t["words"]] for t in reference]
    return Episode(decode(BATCH / "night-science.mp3"), turns, words)


def sound(episode: Episode, turn: int) -> Samples:
    t = episode.turns[turn]
    return episode.audio[round(t.start * SAMPLE_RATE) : round(t.end * SAMPLE_RATE)]


def errors(words: list[Word], truth: list[tuple[str, float, float]], origin: float = 0.0) -> list[float]:
    """Seconds between where words start and end, and where they were placed."""
    found = [t + origin for w in words for t in (w.start, w.end) if t is not None]
    known = [t for _, start, end in truth for t in (start, end)]
    assert len(found) == len(known)
    return [abs(a - b) for a, b in zip(found, known, strict=True)]


def test_words_are_where_they_are_said(aligner: Aligner, episode: Episode):
    texts = [" ".join(w for w, _, _ in said) for said in episode.words]
    transcripts = [Transcript(text, language="en") for text in texts]
    aligned = align_transcripts(aligner, episode.audio, episode.turns, transcripts)
    off = [e for t, said in zip(aligned, episode.words, strict=True) for e in errors(list(t.words), said)]
    assert len(off) > 200
    assert np.median(off) <= 0.025
    assert np.quantile(off, 0.9) <= 0.06
    assert [" ".join(w.word for w in t.words) for t in aligned] == texts
    assert {w.probability for t in aligned for w in t.words} == {None}


def test_names_that_no_dictionary_knows_are_placed_by_their_letters(aligner: Aligner, episode: Episode):
    said = episode.words[0]
    assert [w for w, _, _ in said][:4] == ["Welcome", "to", "Small", "Talk"]
    text = " ".join(["Wellkum,", "to", "Smawl", "Tauk", *(w for w, _, _ in said[4:])])
    words = aligner.align(sound(episode, 0), text, "en")
    assert np.quantile(errors(words, said, episode.turns[0].start), 0.9) < 0.1


def test_a_text_with_mistakes_is_aligned_all_the_same(aligner: Aligner, episode: Episode):
    off: list[float] = []
    for i, said in enumerate(episode.words):
        text = [w for w, _, _ in said]
        text[2] = "crocodile"  # said otherwise
        del text[-3]  # left out
        text.insert(5, "purple")  # not said at all
        words = aligner.align(sound(episode, i), " ".join(text), "en")
        right = [w for w in words if w.word not in ("crocodile", "purple")]
        assert all(w.start is not None for w in right)
        off += errors(right, [*said[:2], *said[3:-3], *said[-2:]], episode.turns[i].start)
    assert np.median(off) <= 0.025
    assert np.quantile(off, 0.8) <= 0.1


def test_numbers_and_other_scripts_have_no_times_and_the_words_around_them_do(aligner: Aligner, episode: Episode):
    said = episode.words[0]
    text = [w for w, _, _ in said]
    text[2], text[8] = "42", "говорим"
    words = aligner.align(sound(episode, 0), " ".join(text), "en")
    assert [w.word for w in words] == text
    assert [i for i, w in enumerate(words) if w.start is None] == [2, 8]
    known = [s for i, s in enumerate(said) if i not in (2, 8)]
    assert np.median(errors(words, known, episode.turns[0].start)) <= 0.03


def test_a_turn_is_placed_alike_whatever_came_before(episode: Episode, aligner: Aligner):
    texts = [" ".join(w for w, _, _ in said) for said in episode.words]
    fresh = make_engine("aligner", "pocketsphinx-align").load()
    first = [fresh.align(sound(episode, i), texts[i], "en") for i in range(4)]
    for i in range(4):
        noise = np.random.default_rng(i).normal(0, 0.3, 5 * SAMPLE_RATE).astype(np.float32)
        aligner.align(noise, "something Quxzeplian altogether different", "en")
        assert aligner.align(sound(episode, i), texts[i], "en") == first[i]


def test_a_word_of_several_parts_lasts_as_long_as_all_of_them(aligner: Aligner, episode: Episode):
    said = episode.words[0]
    text = ["welcome-to-small", *(w for w, _, _ in said[3:])]
    words = aligner.align(sound(episode, 0), " ".join(text), "en")
    joined = [("welcome-to-small", said[0][1], said[2][2]), *said[3:]]
    assert np.quantile(errors(words, joined, episode.turns[0].start), 0.9) < 0.1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "hello"), (0.02, "hello"), (0.2, "hello and welcome to the podcast"), (1.0, "42 — 7"), (1.0, "")],
)
def test_what_does_not_fit_has_no_times(aligner: Aligner, episode: Episode, seconds: float, text: str):
    audio = sound(episode, 0)[: round(seconds * SAMPLE_RATE)]
    assert aligner.align(audio, text, None) == words_without_times(text.split())


def test_another_language_is_refused(aligner: Aligner):
    with pytest.raises(ValueError, match="aligns English only; the language is de"):
        aligner.align(np.zeros(SAMPLE_RATE, np.float32), "guten Tag", "de")


def test_real_speech(aligner: Aligner, real_audio: Path):
    stereo, rate = sf.read(real_audio / "jfk.flac", dtype="float32", always_2d=True)
    audio = np.asarray(soxr.resample(stereo.mean(axis=1), rate, SAMPLE_RATE), np.float32)
    text = (
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
    )
    words = aligner.align(audio, text, "en")
    assert [w.word for w in words] == text.split()
    pauses = [(2.2, 3.2), (4.4, 5.2), (7.75, 8.05)]  # silences that can be seen in the recording
    for word in words:
        assert word.start is not None
        assert word.end is not None
        assert not any(word.start < after and word.end > before for before, after in pauses), word
    assert [w.word for w in words if w.start is not None and w.start > 8.0][:2] == ["ask", "what"]


def test_the_model_is_part_of_the_identity():
    engine = make_engine("aligner", "pocketsphinx-align")
    assert {"mdef", "cmudict-en-us.dict"} <= {f.name for f in engine.model_files()}
    assert engine.identity()["model"]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("Well-known,", ["well", "known"]),
        ("U.S.", ["u", "s"]),
        ("don\u2019t", ["don't"]),
        ("café", ["cafe"]),
        ("—", []),
        ("'", []),
        ("COVID-19", ["[SPEECH]"]),
        ("привет", ["[SPEECH]"]),
    ],
)
def test_what_a_dictionary_may_know_of_a_word(word: str, parts: list[str]):
    assert spoken_parts(word) == parts


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("shook", "SH UW K"),
        ("quotation's", "K W AA T AE SH AH N S"),
        ("abba", "AE B AE"),
        ("rome", "R AA M"),
        ("e", "EH"),
    ],
)
def test_sounds_are_guessed_from_letters(word: str, sounds: str):
    assert guess_sounds(word) == sounds


def test_the_model_knows_every_phone_that_is_guessed():
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    for letters, phones in _SOUNDS.items():
        decoder.add_word(f"guess-{letters}", phones)  # raises an error if it does not know a phone
