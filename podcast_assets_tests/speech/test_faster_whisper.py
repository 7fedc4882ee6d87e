"""The faster-whisper engine, end to end with the demonstration model on the sample batch."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import jiwer
import numpy as np
import pytest

from podcast_assets import demo
from podcast_assets.audio.decode import decode
from podcast_assets.engines import EngineUnavailable, make_engine
from podcast_assets.errors import BadInput
from podcast_assets.speech.transcribers import faster_whisper
from podcast_assets.speech.transcribers.faster_whisper import (
    FasterWhisper,
    FasterWhisperTranscriber,
    cut_turns,
    model_at_hand,
)
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Turn

WHOLE_EPISODES = ["night-science.mp3", "city-music.m4a", "future-food.mp4", "water-history.opus"]


@pytest.fixture(scope="module")
def transcriber() -> FasterWhisperTranscriber:
    return FasterWhisper(**demo.TRANSCRIBER, device="cpu", threads=1).load()


@pytest.fixture(scope="module")
def night() -> Samples:
    return decode(demo.BATCH / "night-science.mp3")


def words_of(text: str) -> str:
    return " ".join(text.replace(".", " ").split())


def noise(seconds: float, level: float = 0.001) -> Samples:
    return np.random.default_rng(0).normal(0, level, int(seconds * SAMPLE_RATE)).astype(np.float32)


def test_words_and_their_times_are_those_of_the_reference(transcriber: FasterWhisperTranscriber) -> None:
    said, heard, errors = [], [], []
    for file in WHOLE_EPISODES:
        reference = demo.load_reference(Path(file).stem)
        turns = [Turn(t["start"], t["end"], t["speaker"]) for t in reference]
        transcripts = transcriber.transcribe(decode(demo.BATCH / file), turns, language="en")
        for turn, expected, transcript in zip(turns, reference, transcripts, strict=True):
            said.append(expected["text"])
            heard.append(words_of(transcript.text))
            times = [t for w in transcript.words for t in (w.start, w.end) if t is not None]
            assert len(times) == 2 * len(transcript.words)
            assert [turn.start, *times, turn.end] == sorted([turn.start, *times, turn.end])
            if heard[-1] == said[-1]:
                errors += np.abs(np.subtract(times[::2], [start for _, start, _ in expected["words"]])).tolist()
    assert jiwer.wer(said, heard) <= 0.12
    assert np.median(errors) <= 0.1


def test_figures_of_the_decoder_are_given(transcriber: FasterWhisperTranscriber, night: Samples) -> None:
    first = demo.load_reference("night-science")[0]
    (transcript,) = transcriber.transcribe(night, [Turn(first["start"], first["end"], "A")])
    assert transcript.language == "en"
    assert transcript.language_probability == pytest.approx(1, abs=0.01)
    assert transcript.avg_logprob is not None
    assert -1 < transcript.avg_logprob < 0
    assert transcript.no_speech_prob is not None
    assert 0 <= transcript.no_speech_prob < 0.1
    assert transcript.compression_ratio is not None
    assert all(0 < (w.probability or 0) <= 1 for w in transcript.words)
    assert all(w.word == w.word.strip() for w in transcript.words)


def test_a_given_language_has_no_probability(transcriber: FasterWhisperTranscriber, night: Samples) -> None:
    (transcript,) = transcriber.transcribe(night, [Turn(0.5, 4, "A")], language="en")
    assert (transcript.language, transcript.language_probability) == ("en", None)


def test_a_turn_longer_than_a_clip_is_heard_to_its_end(transcriber: FasterWhisperTranscriber, night: Samples) -> None:
    reference = demo.load_reference("night-science")
    whole = Turn(reference[0]["start"], reference[-1]["end"], "A")
    (transcript,) = transcriber.transcribe(night, [whole], language="en")
    assert jiwer.wer(" ".join(t["text"] for t in reference), words_of(transcript.text)) <= 0.12
    starts = [w.start for w in transcript.words if w.start is not None]
    assert starts == sorted(starts)
    for turn in reference:
        assert any(turn["start"] <= start < turn["end"] for start in starts)


def test_turns_that_overlap_each_get_their_own_text(transcriber: FasterWhisperTranscriber, night: Samples) -> None:
    first, second = demo.load_reference("night-science")[:2]
    turns = [
        Turn(first["start"], second["end"], "A"),
        Turn(first["start"], first["end"], "B"),
        Turn(first["start"], first["end"], "C"),
    ]
    both, one, same = transcriber.transcribe(night, turns, language="en")
    assert one == same
    assert both.text.startswith(one.text[:20])
    assert len(both.words) > len(one.words)


def test_more_clips_than_one_call_takes_change_nothing(
    transcriber: FasterWhisperTranscriber, night: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [Turn(t["start"], t["end"], t["speaker"]) for t in demo.load_reference("night-science")]
    at_once = transcriber.transcribe(night, turns, language="en")
    monkeypatch.setattr(faster_whisper, "CLIPS_PER_CALL", 3)
    for expected, transcript in zip(at_once, transcriber.transcribe(night, turns, language="en"), strict=True):
        assert transcript.text == expected.text
        assert transcript.words[-1].end == expected.words[-1].end


def test_silence_gives_an_empty_text(transcriber: FasterWhisperTranscriber) -> None:
    for audio in (np.zeros(3 * SAMPLE_RATE, np.float32), noise(3)):
        (transcript,) = transcriber.transcribe(audio, [Turn(0, 3, "A")])
        assert transcript.text == ""
        assert list(transcript.words) == []
        assert transcript.no_speech_prob is not None
        assert transcript.no_speech_prob > 0.6


class Murmur:
    """In place of faster-whisper's pipeline: the same words for every clip, with the given figures."""

    def __init__(self, no_speech_prob: float, avg_logprob: float) -> None:
        self.model = SimpleNamespace(supported_languages=["en"])
        self.figures = {"no_speech_prob": no_speech_prob, "avg_logprob": avg_logprob}

    def transcribe(self, audio: Samples, *, clip_timestamps: list[dict[str, float]], **_: Any) -> Any:
        clips = [int(clip["start"] * 100) for clip in clip_timestamps]
        return [
            SimpleNamespace(seek=at, text=" thank you", words=[], tokens=[1, 2], **self.figures) for at in clips
        ], None


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "text"),
    [(0.9, -1.5, ""), (0.9, -0.5, "thank you"), (0.2, -1.5, "thank you")],
)
def test_text_that_the_model_itself_takes_for_silence_is_dropped(
    no_speech_prob: float, avg_logprob: float, text: str
) -> None:
    murmur: Any = Murmur(no_speech_prob, avg_logprob)
    transcriber = FasterWhisperTranscriber(FasterWhisper(), murmur)
    (transcript,) = transcriber.transcribe(noise(2), [Turn(0, 2, "A")], language="en")
    assert transcript.text == text
    assert transcript.no_speech_prob == pytest.approx(no_speech_prob)
    assert transcript.avg_logprob == pytest.approx(avg_logprob)


def test_nothing_to_hear_is_not_an_error(transcriber: FasterWhisperTranscriber) -> None:
    audio = noise(1)
    assert transcriber.transcribe(audio, []) == []
    turns = [Turn(0.5, 0.5, "A"), Turn(3, 4, "B")]
    assert [t.text for t in transcriber.transcribe(audio, turns)] == ["", ""]
    assert [t.text for t in transcriber.transcribe(np.zeros(0, np.float32), turns)] == ["", ""]


def test_an_unknown_language_is_refused(transcriber: FasterWhisperTranscriber) -> None:
    with pytest.raises(BadInput, match="does not know the language 'xx'"):
        transcriber.transcribe(noise(1), [Turn(0, 1, "A")], language="xx")


def test_long_turns_are_cut_in_their_pauses() -> None:
    audio = noise(20, level=0.3)
    pauses = [(5.6, 5.9), (11.0, 11.3), (16.2, 16.5)]
    for start, end in pauses:
        audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] *= 0.001
    clips = list(cut_turns(audio, [Turn(0, 20, "A")], 8.0))
    assert clips[0].start == 0
    assert clips[-1].end == len(audio)
    assert [c.end for c in clips[:-1]] == [c.start for c in clips[1:]]
    for clip, (start, end) in zip(clips, pauses, strict=False):
        assert start <= clip.end / SAMPLE_RATE <= end


@pytest.mark.parametrize("seconds", [8.0, 8.01, 8.5, 16.0, 16.1, 61.3])
def test_clips_are_never_too_long_and_leave_nothing_out(seconds: float) -> None:
    audio = noise(seconds)
    audio[int(7.7 * SAMPLE_RATE) : int(7.95 * SAMPLE_RATE)] = 0  # a pause so late that a scrap would be left
    clips = list(cut_turns(audio, [Turn(0, seconds, "A")], 8.0))
    assert all(c.seconds <= 8.0 for c in clips)
    assert sum(c.end - c.start for c in clips) == len(audio)
    assert all(c.seconds > 0.5 for c in clips)


def test_batch_size_and_threads_are_not_part_of_the_identity() -> None:
    one = make_engine("transcriber", "faster-whisper", **demo.TRANSCRIBER, device="cpu")
    assert one.identity() == FasterWhisper(**demo.TRANSCRIBER, device="cpu", batch_size=1, threads=3).identity()
    assert one.identity() != FasterWhisper(**{**demo.TRANSCRIBER, "beam_size": 1}, device="cpu").identity()
    assert one.identity()["settings"]["compute_type"] == "int8"
    assert FasterWhisper(device="cuda").identity()["settings"]["compute_type"] == "float16"


def test_the_identity_holds_the_model_s_content_not_its_place(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in demo.MODEL.glob("[!R]*"):
        (copy / file.name).write_bytes(file.read_bytes())
    here, there = FasterWhisper(model=str(demo.MODEL)), FasterWhisper(model=str(copy))
    assert here.identity() == there.identity()
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert here.identity() != there.identity()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="there is no folder"):
        FasterWhisper(model=str(tmp_path / "none")).load()
    with pytest.raises(EngineUnavailable, match=r"has no model\.bin and no tokenizer\.json"):
        FasterWhisper(model=str(tmp_path)).load()
    with pytest.raises(EngineUnavailable, match="'no-such-size' cannot be loaded"):
        FasterWhisper(model="no-such-size").load()


def test_model_at_hand_in_a_folder(tmp_path: Path) -> None:
    assert model_at_hand(str(demo.MODEL))[0]
    at_hand, why = model_at_hand(str(tmp_path))
    assert not at_hand
    assert "model.bin" in why


def test_model_at_hand_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    at_hand, why = model_at_hand("owner/name")
    assert not at_hand
    assert "HF_HUB_OFFLINE" in why

    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    for file in demo.MODEL.glob("[!R]*"):
        (snapshot / file.name).write_bytes(file.read_bytes())
    at_hand, why = model_at_hand("owner/name")
    assert at_hand
    assert "cache" in why
    # known by its content from then on
    assert (
        FasterWhisper(model="owner/name").identity()["model"]
        == FasterWhisper(model=str(demo.MODEL)).identity()["model"]
    )


def test_model_at_hand_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    asked = []

    def answers(url: str, timeout: float) -> None:
        asked.append(url)

    def is_silent(url: str, timeout: float) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answers)
    assert model_at_hand("small")[0]
    assert asked[0].endswith("Systran/faster-whisper-small/resolve/main/model.bin")
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", is_silent)
    assert model_at_hand("small") == (
        False,
        "the Whisper model 'small' is not in the local cache, and the hub does not give it: Name or service not known",
    )
    assert "neither a folder" in model_at_hand("no-such-size")[1]
