"""The faster-whisper engine, end to end with the miniature Whisper on its batch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.transcribers.faster_whisper import decoding as whisper_decoding
from podcast_assets.speech.transcribers.faster_whisper import model as whisper
from podcast_assets.speech.transcribers.faster_whisper.decoding import Decoded
from podcast_assets.speech.transcribers.faster_whisper.encoding import encode, select
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.speech.transcribers.faster_whisper.model import WhisperTranscriber
from podcast_assets.speech.types import (
    LANGUAGE_DIFFERS,
    SAMPLE_RATE,
    EpisodeSpeech,
    Samples,
    Transcript,
    TranscriptionResult,
    Turn,
)
from podcast_assets_tests import miniature

WHOLE_EPISODES = ["night-science.mp3", "city-music.m4a", "future-food.mp4", "water-history.opus"]


@pytest.fixture(scope="module")
def transcriber() -> WhisperTranscriber:
    return FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1, batch_size=8).load()


@pytest.fixture(scope="module")
def night() -> Samples:
    return decode(miniature.BATCH / "night-science.mp3")


@pytest.fixture(scope="module")
def episodes() -> dict[str, EpisodeSpeech]:
    """The four whole episodes of the sample batch with the turns of their references."""
    found = {}
    for file in WHOLE_EPISODES:
        turns = [Turn(t["start"], t["end"], t["speaker"]) for t in miniature.load_reference(Path(file).stem)]
        found[file] = EpisodeSpeech(file, decode(miniature.BATCH / file), turns, "en")
    return found


def transcribe(
    transcriber: WhisperTranscriber, audio: Samples, turns: Sequence[Turn], language: str | None = None
) -> Sequence[Transcript]:
    (result,) = transcriber.transcribe([EpisodeSpeech("episode", audio, turns, language)])
    return done(result)


def done(result: TranscriptionResult) -> Sequence[Transcript]:
    if isinstance(result.transcripts, Exception):
        raise result.transcripts
    return result.transcripts


def words_of(text: str) -> str:
    return " ".join(text.replace(".", " ").split())


def noise(seconds: float, level: float = 0.001) -> Samples:
    return np.random.default_rng(0).normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def together(transcriber: WhisperTranscriber, episodes: dict[str, EpisodeSpeech]) -> dict[str, Sequence[Transcript]]:
    """Transcripts of all episodes, heard in one stream."""
    return {h.speech.episode: done(h) for h in transcriber.transcribe(episodes.values())}


def test_words_and_their_times_are_those_of_the_reference(together: dict[str, Sequence[Transcript]]) -> None:
    said, transcribed, errors = [], [], []
    for file, transcripts in together.items():
        for expected, transcript in zip(miniature.load_reference(Path(file).stem), transcripts, strict=True):
            said.append(expected["text"])
            transcribed.append(words_of(transcript.text))
            times = [t for w in transcript.words for t in (w.start, w.end) if t is not None]
            assert len(times) == 2 * len(transcript.words)
            assert [expected["start"], *times, expected["end"]] == sorted([expected["start"], *times, expected["end"]])
            if transcribed[-1] == said[-1]:
                errors += np.abs(np.subtract(times[::2], [start for _, start, _ in expected["words"]])).tolist()
    assert jiwer.wer(said, transcribed) <= 0.12
    assert np.median(errors) <= 0.1


def test_batches_across_episodes_give_what_one_by_one_gives(
    transcriber: WhisperTranscriber, episodes: dict[str, EpisodeSpeech], together: dict[str, Sequence[Transcript]]
) -> None:
    assert all(size == 8 for size in transcriber.batcher.batches[:3]), "full batches, whatever the episodes"
    for size in (1, 3):
        few = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1, batch_size=size).load()
        for file, speech in episodes.items():
            assert done(next(iter(few.transcribe([speech])))) == together[file]


def test_on_a_cpu_windows_are_encoded_one_by_one_and_give_what_they_give_together(night: Samples) -> None:
    two = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=2).load()
    model = two._model
    assert (model.model.num_workers, two.batcher._at_once) == (2, 2)
    features = np.stack([two._compute_features(night[i * SAMPLE_RATE :][: 4 * SAMPLE_RATE]) for i in range(5)])
    encoded = encode(model, features)
    whole = np.array(model.encode(features))
    assert np.array_equal(np.array(encoded), whole)
    assert np.array_equal(np.array(select(model, encoded, features, [3, 1])), whole[[3, 1]])


def test_two_workers_give_what_one_gives(
    episodes: dict[str, EpisodeSpeech], together: dict[str, Sequence[Transcript]]
) -> None:
    two = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=2, batch_size=8).load()
    assert {r.speech.episode: done(r) for r in two.transcribe(episodes.values())} == together


def test_a_window_is_heard_the_same_at_every_place_of_a_batch(
    transcriber: WhisperTranscriber, episodes: dict[str, EpisodeSpeech]
) -> None:
    speech = episodes["night-science.mp3"]
    turns = [
        Turn(t.start - 0.1, t.end + 0.1, t.speaker) for t in speech.turns
    ]  # a word there is just as long as may be
    copies = [replace(speech, episode=str(i), turns=turns) for i in range(3)]
    first, *others = [done(h) for h in transcriber.transcribe(copies)]
    assert all(other == first for other in others)


def test_packed_turns_give_the_same_words_as_turns_alone(episodes: dict[str, EpisodeSpeech]) -> None:
    said = [t["text"] for file in episodes for t in miniature.load_reference(Path(file).stem)]
    errors, windows = {}, {}
    for pack in (True, False):
        transcriber = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1, pack=pack).load()
        results = list(transcriber.transcribe(episodes.values()))
        errors[pack] = jiwer.wer(said, [words_of(t.text) for result in results for t in done(result)])
        windows[pack] = sum(transcriber.batcher.batches)
    assert windows[False] > 1.15 * windows[True], "packed turns share windows"
    assert abs(errors[True] - errors[False]) <= 0.02


def test_out_of_memory_costs_no_word(
    transcriber: WhisperTranscriber,
    episodes: dict[str, EpisodeSpeech],
    together: dict[str, Sequence[Transcript]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = whisper.decode

    def little_memory(model: Any, features: Any, *rest: Any) -> Any:
        if len(features) > 3:
            raise RuntimeError("CUDA failed with error out of memory")
        return real(model, features, *rest)

    monkeypatch.setattr(whisper, "decode", little_memory)
    monkeypatch.setattr(transcriber.batcher, "batch_size", 8)
    file = WHOLE_EPISODES[0]
    alone = done(next(iter(transcriber.transcribe([episodes[file]]))))
    assert transcriber.batcher.batch_size == 2
    assert [t.text for t in alone] == [t.text for t in together[file]]


def test_a_loop_or_a_doubt_is_decoded_again_at_a_higher_temperature(
    night: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy = night + noise(len(night) / SAMPLE_RATE + 1, 0.3)[: len(night)]
    turns = [Turn(t["start"], t["end"], t["speaker"]) for t in miniature.load_reference("night-science")]
    real, tries = whisper_decoding._generate_tokens, []

    def watched(*given: Any) -> list[Decoded]:
        tries.append(real(*given))
        return tries[-1]

    monkeypatch.setattr(whisper_decoding, "_generate_tokens", watched)
    warm = FasterWhisper(**miniature.TRANSCRIBER, device="cpu", threads=1, pack=False, batch_size=len(turns))
    warm = warm.model_copy(update={"temperatures": (0.0, 0.4, 0.8)}).load()
    (result,) = warm.transcribe([EpisodeSpeech("e", noisy, turns, "en")])
    first = tries[0]
    doubtful = [i for i, d in enumerate(first) if d.avg_logprob < -1 and d.no_speech_prob <= 0.6]
    assert doubtful, "the noise makes the model doubt"
    assert len(tries[1]) == len([d for d in first if d.doubtful]) < len(first), "only what needs it"
    assert {d.temperature for d in tries[1]} == {0.4}
    for cold, kept in zip(first, done(result), strict=True):
        assert cold.loops or (kept.avg_logprob or 0) >= cold.avg_logprob - 1e-4, "the likeliest of the tries"


def test_hints_are_part_of_the_prompt_and_of_the_batch(
    transcriber: WhisperTranscriber, episodes: dict[str, EpisodeSpeech], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[list[list[int]]] = []
    real = whisper.decode

    def listening(model: Any, features: Any, given: Any, *rest: Any) -> Any:
        prompts.append(given)
        return real(model, features, given, *rest)

    monkeypatch.setattr(whisper, "decode", listening)
    plain = episodes[WHOLE_EPISODES[0]]
    hinted = replace(plain, episode="hinted", hints="history")
    results = list(transcriber.transcribe([plain, hinted]))
    assert not any(isinstance(h.transcripts, Exception) for h in results)
    assert all(len({len(p) for p in batch}) == 1 for batch in prompts), "a batch has prompts of one length"
    assert len({len(p) for batch in prompts for p in batch}) == 2


def test_figures_of_the_decoder_are_given(transcriber: WhisperTranscriber, night: Samples) -> None:
    first = miniature.load_reference("night-science")[0]
    (transcript,) = transcribe(transcriber, night, [Turn(first["start"], first["end"], "A")])
    assert transcript.language == "en"
    assert transcript.language_probability == pytest.approx(1, abs=0.01)
    assert transcript.avg_logprob is not None
    assert -1 < transcript.avg_logprob < 0
    assert transcript.no_speech_prob is not None
    assert 0 <= transcript.no_speech_prob < 0.1
    assert transcript.compression_ratio is not None
    assert all(0 < (w.probability or 0) <= 1 for w in transcript.words)
    assert all(w.word == w.word.strip() for w in transcript.words)


def test_a_declared_language_is_checked_against_the_sound(transcriber: WhisperTranscriber, night: Samples) -> None:
    (declared,) = transcribe(transcriber, night, [Turn(0.5, 4, "A")], "en")
    (wrong,) = transcribe(transcriber, night, [Turn(0.5, 4, "A")], "de")
    assert (declared.language, declared.language_probability, declared.flags) == ("en", pytest.approx(1, abs=0.01), ())
    assert (wrong.language, wrong.flags) == ("de", (LANGUAGE_DIFFERS,))
    assert (wrong.language_probability or 0) < 0.1


def test_a_turn_longer_than_a_clip_is_heard_to_its_end(transcriber: WhisperTranscriber, night: Samples) -> None:
    reference = miniature.load_reference("night-science")
    whole = Turn(reference[0]["start"], reference[-1]["end"], "A")
    (transcript,) = transcribe(transcriber, night, [whole], "en")
    assert jiwer.wer(" ".join(t["text"] for t in reference), words_of(transcript.text)) <= 0.12
    starts = [w.start for w in transcript.words if w.start is not None]
    assert starts == sorted(starts)
    for turn in reference:
        assert any(turn["start"] <= start < turn["end"] for start in starts)


def test_turns_that_overlap_each_get_their_own_text(transcriber: WhisperTranscriber, night: Samples) -> None:
    first, second = miniature.load_reference("night-science")[:2]
    turns = [
        Turn(first["start"], second["end"], "A"),
        Turn(first["start"], first["end"], "B"),
        Turn(first["start"], first["end"], "C"),
    ]
    both, one, same = transcribe(transcriber, night, turns, "en")
    assert one == same
    assert both.text.startswith(one.text[:20])
    assert len(both.words) > len(one.words)


def test_silence_gives_an_empty_text(transcriber: WhisperTranscriber) -> None:
    for audio in (np.zeros(3 * SAMPLE_RATE, np.float32), noise(3)):
        (transcript,) = transcribe(transcriber, audio, [Turn(0, 3, "A")])
        assert transcript.text == ""
        assert list(transcript.words) == []
        assert transcript.no_speech_prob is not None
        assert transcript.no_speech_prob > 0.6


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "silent", "doubtful"),
    [(0.9, -1.5, True, False), (0.9, -0.5, False, False), (0.2, -1.5, False, True), (0.2, -0.5, False, False)],
)
def test_what_the_model_takes_for_silence(
    no_speech_prob: float, avg_logprob: float, silent: bool, doubtful: bool
) -> None:
    decoded = Decoded([1], "thank you", avg_logprob, no_speech_prob, 0.0)
    assert (decoded.silent, decoded.doubtful) == (silent, doubtful)
    loop = Decoded([1], "thank you " * 20, -0.5, 0.2, 0.0)
    assert loop.doubtful


def test_nothing_to_hear_is_not_an_error(transcriber: WhisperTranscriber) -> None:
    audio = noise(1)
    assert transcribe(transcriber, audio, []) == []
    turns = [Turn(0.5, 0.5, "A"), Turn(3, 4, "B")]
    assert [t.text for t in transcribe(transcriber, audio, turns)] == ["", ""]
    assert [t.text for t in transcribe(transcriber, np.zeros(0, np.float32), turns)] == ["", ""]


def test_an_unknown_language_is_refused(transcriber: WhisperTranscriber) -> None:
    with pytest.raises(BadInput, match="does not support the language 'xx'"):
        transcribe(transcriber, noise(1), [Turn(0, 1, "A")], "xx")


def test_batch_size_and_threads_are_not_part_of_the_identity() -> None:
    one = make_engine("transcriber", "faster-whisper", **miniature.TRANSCRIBER, device="cpu")
    assert one.identity() == FasterWhisper(**miniature.TRANSCRIBER, device="cpu", batch_size=1, threads=3).identity()
    assert one.identity() != FasterWhisper(**{**miniature.TRANSCRIBER, "beam_size": 1}, device="cpu").identity()
    assert one.identity()["settings"]["compute_type"] == "int8"
    assert FasterWhisper(device="cuda").identity()["settings"]["compute_type"] == "float16"


def test_the_identity_holds_the_model_s_content_not_its_place(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in miniature.MODEL.glob("[!R]*"):
        (copy / file.name).write_bytes(file.read_bytes())
    here, there = FasterWhisper(model=str(miniature.MODEL)), FasterWhisper(model=str(copy))
    assert here.identity() == there.identity()
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert here.identity() != there.identity()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="there is no folder"):
        FasterWhisper(model=str(tmp_path / "none")).load()
    with pytest.raises(EngineUnavailable, match=r"has no model\.bin and no tokenizer\.json"):
        FasterWhisper(model=str(tmp_path)).load()
    with pytest.raises(EngineUnavailable, match="'no-such-size' is neither a folder"):
        FasterWhisper(model="no-such-size").load()


def test_a_folder_is_at_hand_or_what_it_lacks_is_said(tmp_path: Path) -> None:
    assert check_available(FasterWhisper(model=str(miniature.MODEL)))[0]
    found, why = check_available(FasterWhisper(model=str(tmp_path)))
    assert not found
    assert "model.bin" in why


def test_sizes_are_models_of_the_hub() -> None:
    (model,) = FasterWhisper(model="large-v3-turbo").hub_models()
    assert model.repo.endswith("/faster-whisper-large-v3-turbo")
    assert FasterWhisper(model="owner/name").hub_models()[0].repo == "owner/name"
    assert FasterWhisper(model=str(miniature.MODEL)).hub_models() == []
    assert "neither a folder" in check_available(FasterWhisper(model="no-such-size"))[1]


def test_an_input_can_ask_for_timestamp_tokens_whatever_the_engine_is_set_to(night: Samples) -> None:
    turns = [Turn(t["start"], t["end"], t["speaker"]) for t in miniature.load_reference("night-science")[:3]]
    plain, timed = (
        FasterWhisper(**{**miniature.TRANSCRIBER, "timestamps": timestamps}, device="cpu", threads=1).load()
        for timestamps in (False, True)
    )

    def made(transcriber: WhisperTranscriber, *, wanted: bool | None) -> list[Any]:
        (result,) = transcriber.transcribe([EpisodeSpeech("a", night, turns, "en", timestamps=wanted)])
        assert not isinstance(result.transcripts, Exception)
        return [(t.text, t.avg_logprob) for t in result.transcripts]

    assert made(plain, wanted=True) == made(timed, wanted=None) == made(timed, wanted=True)
    assert made(timed, wanted=False) == made(plain, wanted=None) != made(timed, wanted=None)
