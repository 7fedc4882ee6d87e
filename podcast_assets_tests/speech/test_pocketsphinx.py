from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile as sf
import soxr

from podcast_assets.common.errors import BadInput
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.text_measures import compression_ratio
from podcast_assets.speech.types import SAMPLE_RATE, EpisodeSpeech, Samples, Transcriber, Transcript, Turn

SENTENCES = {
    "jfk.flac": (7.9, "ask what you can do for your country"),
    "sense-0880.wav": (0.0, "he was not an ill disposed young man"),
    "sense-0890.wav": (0.0, "unless to be rather cold hearted and rather selfish is to be ill disposed"),
}
"""Start of what is transcribed, in seconds, and the words from there to the end."""


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    return make_engine("transcriber", "pocketsphinx").load()


def transcribe(
    transcriber: Transcriber, audio: Samples, turns: Sequence[Turn], language: str | None = "en"
) -> Sequence[Transcript]:
    (result,) = transcriber.transcribe([EpisodeSpeech("episode", audio, turns, language)])
    if isinstance(result.transcripts, Exception):
        raise result.transcripts
    return result.transcripts


def load(file: Path) -> Samples:
    audio, rate = sf.read(file, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(audio.mean(axis=1), rate, SAMPLE_RATE), np.float32)


def test_recognizes_most_words_of_real_speech(transcriber: Transcriber, real_audio: Path):
    transcribed = []
    for name, (start, _) in SENTENCES.items():
        audio = load(real_audio / name)
        transcript = transcribe(transcriber, audio, [Turn(start, len(audio) / SAMPLE_RATE, "A")], "en")[0]
        assert transcript.text == " ".join(w.word for w in transcript.words)
        assert not set("<>[]()+") & set(transcript.text)
        transcribed.append(transcript.text)
    assert jiwer.wer([text for _, text in SENTENCES.values()], transcribed) < 0.45


def test_words_lie_in_their_turn_with_probabilities(transcriber: Transcriber, real_audio: Path):
    audio = np.concatenate([np.zeros(2 * SAMPLE_RATE, np.float32), load(real_audio / "sense-0880.wav")])
    turn = Turn(2.0, len(audio) / SAMPLE_RATE, "A")
    transcript = transcribe(transcriber, audio, [turn])[0]
    times = [t for w in transcript.words for t in (w.start, w.end) if t is not None]
    assert len(times) == 2 * len(transcript.words)
    assert times == sorted(times)
    assert turn.start <= times[0]
    assert times[-1] <= turn.end
    probabilities = [w.probability for w in transcript.words if w.probability is not None]
    assert all(0 < p <= 1 for p in probabilities)
    assert min(probabilities) < 0.9
    assert transcript.avg_logprob == pytest.approx(np.mean(np.log(probabilities)))
    assert transcript.compression_ratio == compression_ratio(transcript.text)
    assert (transcript.language, transcript.language_probability, transcript.no_speech_prob) == ("en", None, None)


def test_a_transcript_does_not_depend_on_earlier_turns(transcriber: Transcriber, real_audio: Path):
    a, b = load(real_audio / "sense-0880.wav"), load(real_audio / "sense-0890.wav")[: 2 * SAMPLE_RATE]
    audio = np.concatenate([a, b])
    first, second = Turn(0.0, len(a) / SAMPLE_RATE, "A"), Turn(len(a) / SAMPLE_RATE, len(audio) / SAMPLE_RATE, "B")
    alone = transcribe(transcriber, audio, [first])[0]
    assert transcribe(transcriber, audio, [second, first])[1] == alone


def test_a_long_turn_is_decoded_in_pieces(real_audio: Path):
    transcriber = make_engine("transcriber", "pocketsphinx", max_piece=1.0).load()
    audio = load(real_audio / "sense-0880.wav")
    words = transcribe(transcriber, audio, [Turn(0.0, len(audio) / SAMPLE_RATE, "A")])[0].words
    assert len(words) > 3
    times = [(w.start, w.end) for w in words if w.start is not None and w.end is not None]
    assert len(times) == len(words)
    assert times[-1][0] > 1.5
    assert all(end - start <= 1.0 + 1e-9 for start, end in times)


@pytest.mark.parametrize("turn", [Turn(0.0, 4.0, "A"), Turn(1.0, 1.001, "A"), Turn(3.9, 5.0, "A")])
def test_silence_gives_no_words(transcriber: Transcriber, turn: Turn):
    transcript = transcribe(transcriber, np.zeros(4 * SAMPLE_RATE, np.float32), [turn])[0]
    assert (transcript.text, list(transcript.words)) == ("", [])
    assert transcript.avg_logprob is None
    assert transcript.compression_ratio is None


@pytest.mark.parametrize(("language", "named"), [("de", "de"), (None, r"not known: declare it \(--language")])
def test_another_or_an_unknown_language_is_refused(transcriber: Transcriber, language: str | None, named: str):
    with pytest.raises(BadInput, match=f"supports English only, but the language of the episode is {named}"):
        transcribe(transcriber, np.zeros(SAMPLE_RATE, np.float32), [], language)


def test_the_model_is_part_of_the_identity():
    engine = make_engine("transcriber", "pocketsphinx")
    assert {"mdef", "cmudict-en-us.dict", "en-us.lm.bin"} <= {f.name for f in engine.model_files()}
    assert engine.identity()["model"]


def test_compression_ratio_grows_with_repetition():
    assert compression_ratio("") is None
    once = compression_ratio("thank you for watching ")
    looped = compression_ratio("thank you for watching " * 20)
    assert once is not None
    assert looped is not None
    assert once < 1.5 < 2.4 < looped
