from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from podcast_assets.demo import BATCH, REFERENCES
from podcast_assets.engines.engine import make_engine
from podcast_assets.engines.onnx_sessions import open_session
from podcast_assets.speech.diarizers import local_speakers
from podcast_assets.speech.diarizers.embedded import clustering
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Diarizer, Pcm, Samples, Turn

EPISODES = sorted(f for f in (BATCH).iterdir() if (REFERENCES / f"{f.stem}.rttm").exists())


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return make_engine("diarizer", "embedded").load()


def load(file: Path) -> tuple[Samples, list[Turn]]:
    turns = parse_rttm((REFERENCES / f"{file.stem}.rttm").read_text())[file.stem]
    return np.asarray(decode_audio(str(file)), np.float32), turns


def annotation(turns: Sequence[Turn]) -> Annotation:
    result = Annotation()
    for i, turn in enumerate(turns):
        result[Segment(turn.start, turn.end), i] = turn.speaker
    return result


@pytest.mark.parametrize("file", EPISODES, ids=lambda f: f.stem)
def test_finds_who_spoke_when_in_the_sample_batch(diarizer: Diarizer, file: Path):
    audio, reference = load(file)
    found = diarizer.diarize(audio)
    turns = found.turns
    assert found.full
    assert turns[0].speaker == "SPEAKER_00"
    assert len({t.speaker for t in turns}) == len({t.speaker for t in reference})
    decoded = Timeline([Segment(0, len(audio) / SAMPLE_RATE)])  # one file of the batch is truncated
    der = DiarizationErrorRate(collar=0.25)(annotation(reference), annotation(turns), uem=decoded, detailed=True)
    assert isinstance(der, dict)
    assert der["diarization error rate"] <= 0.05
    borders = [t for turn in turns for t in (turn.start, turn.end)]
    assert borders == sorted(borders)
    assert borders[-1] <= len(audio) / SAMPLE_RATE
    assert all(isinstance(b, float) for b in borders)


def alone(audio: Samples, reference: Sequence[Turn], speaker: str | None) -> Samples:
    """What one speaker says, with pauses between the turns."""
    pause = np.zeros(SAMPLE_RATE // 2, np.float32)
    return np.concatenate([x for t in reference if t.speaker == speaker for x in (audio[_span(t)], pause)])


@pytest.mark.parametrize("speaker", ["SPEAKER_00", "SPEAKER_01"])
def test_one_voice_stays_one_speaker(diarizer: Diarizer, speaker: str):
    audio, reference = load(BATCH / "night-science.mp3")
    assert {t.speaker for t in diarizer.diarize(alone(audio, reference, speaker)).turns} == {"SPEAKER_00"}


def _span(turn: Turn) -> slice:
    return slice(round(turn.start * SAMPLE_RATE), round(turn.end * SAMPLE_RATE))


def test_the_number_of_speakers_can_be_given(diarizer: Diarizer):
    audio, _ = load(BATCH / "night-science.mp3")
    assert len({t.speaker for t in diarizer.diarize(audio, max_speakers=1).turns}) == 1
    assert len({t.speaker for t in diarizer.diarize(audio, min_speakers=3).turns}) == 3
    with pytest.raises(ValueError, match="at least 3 and at most 2"):
        diarizer.diarize(audio, min_speakers=3, max_speakers=2)


@pytest.mark.parametrize("seconds", [0, 0.2, 3])
def test_no_speech_gives_no_turns(diarizer: Diarizer, seconds: float):
    found = diarizer.diarize(np.zeros(int(seconds * SAMPLE_RATE), np.float32))
    assert list(found.turns) == []
    assert dict(found.embeddings) == {}


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.5])
def test_a_clip_too_short_to_compare_is_one_speaker_at_most(diarizer: Diarizer, seconds: float):
    audio, reference = load(BATCH / "night-science.mp3")
    start = round((reference[0].start + 0.1) * SAMPLE_RATE)
    turns = diarizer.diarize(audio[start : start + int(seconds * SAMPLE_RATE)]).turns
    assert {t.speaker for t in turns} <= {"SPEAKER_00"}


def test_embeddings_are_those_of_the_voices(diarizer: Diarizer):
    audio, reference = load(BATCH / "night-science.mp3")
    found = diarizer.diarize(audio)
    assert set(found.embeddings) == {t.speaker for t in found.turns} == {"SPEAKER_00", "SPEAKER_01", "SPEAKER_02"}
    for name, embedding in found.embeddings.items():
        assert embedding.shape == (192,)
        assert embedding.dtype == np.float32
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
        turn = max((t for t in found.turns if t.speaker == name), key=lambda t: t.end - t.start)
        (speaker,) = {r.speaker for r in reference if r.start <= (turn.start + turn.end) / 2 <= r.end}
        (voice,) = diarizer.diarize(alone(audio, reference, speaker)).embeddings.values()
        similar = {n: float(e @ voice) for n, e in found.embeddings.items()}
        assert max(similar, key=similar.__getitem__) == name


def test_long_audio_is_read_in_short_slices(diarizer: Diarizer):
    class Careful(Pcm):
        def __getitem__(self, part: slice) -> Samples:
            assert part.stop - part.start <= 70 * SAMPLE_RATE
            return super().__getitem__(part)

    audio, _ = load(BATCH / "night-science.mp3")
    pcm = np.round(np.tile(audio, 3) * 32767).astype(np.int16)
    found = diarizer.diarize(Careful(pcm))
    assert found.turns == diarizer.diarize(pcm.astype(np.float32) / np.float32(32768)).turns
    assert {t.speaker for t in found.turns} == {"SPEAKER_00", "SPEAKER_01", "SPEAKER_02"}


class Counted:
    """A session that counts the windows that it is given."""

    def __init__(self) -> None:
        self.session = open_session(local_speakers.NETWORK, "cpu", spin=False)
        self.windows = 0

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> Any:
        self.windows += len(inputs["audio"])
        return self.session.run(outputs, inputs)


def test_hours_of_digital_silence_need_the_network_once():
    speech, _ = load(EPISODES[0])
    audio = np.concatenate(
        [speech[: 20 * SAMPLE_RATE], np.zeros(600 * SAMPLE_RATE, np.float32), speech[: 9 * SAMPLE_RATE]]
    )
    session = Counted()
    found = local_speakers.find_local_speakers(audio, session, 2.0)
    assert len(found.active) > 120
    assert session.windows <= 4 * 8 + 1
    silent = np.concatenate([found.decided(window) for window in range(len(found.active))])
    first, last = (round(t / local_speakers.FRAME) for t in (21, 619))
    assert silent[:first].any()
    assert silent[last:].any()
    assert not silent[first:last].any()


def test_the_networks_are_part_of_the_identity():
    engine = make_engine("diarizer", "embedded")
    assert [f.name for f in engine.model_files()] == ["segmentation.onnx", "voices.onnx"]
    assert engine.identity() != make_engine("diarizer", "embedded", max_distance=0.4).identity()
    assert engine.identity() == make_engine("diarizer", "embedded", threads=2).identity()


def test_settings_of_the_version_before_are_ignored_with_a_warning(caplog: pytest.LogCaptureFixture):
    assert make_engine("diarizer", "embedded", min_separation=6) == make_engine("diarizer", "embedded")
    assert "min_separation" in caplog.text


def test_a_real_conversation_of_two_similar_voices(diarizer: Diarizer, real_audio: Path):
    audio = np.asarray(decode_audio(str(real_audio / "conversation.wav")), np.float32)
    ((name, reference),) = parse_rttm((real_audio / "conversation.rttm").read_text()).items()
    found = diarizer.diarize(audio)
    assert len(found.embeddings) == len({t.speaker for t in reference}) == 2, name
    full = annotation(found.full or ())
    whole = Timeline([Segment(0, len(audio) / SAMPLE_RATE)])
    der = DiarizationErrorRate(collar=0.25)(annotation(reference), full, uem=whole)
    assert isinstance(der, float)
    assert der <= 0.05


def test_overlapping_voices_are_reported_and_transcribed_once(diarizer: Diarizer, real_audio: Path):
    one, other = (
        np.asarray(decode_audio(str(real_audio / name)), np.float32)
        for name in ("libri-198.ogg", "libri-1088-0000.flac")
    )
    begin = len(one) - 3 * SAMPLE_RATE
    mixed = np.zeros(begin + len(other), np.float32)
    mixed[: len(one)] += one
    mixed[begin:] += other
    found = diarizer.diarize(mixed)
    both = annotation(found.full or ()).get_overlap().duration()
    assert 1 <= both <= 3.5
    assert all(before.end <= after.start for before, after in pairwise(found.turns))
    assert sum(t.overlap * (t.end - t.start) for t in found.turns) == pytest.approx(both, abs=0.1)


def voices(*sizes: int, spread: float = 0.35) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of unit length of made-up voices, in random order, with the voice of each."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    points = np.eye(192)[truth] + rng.normal(size=(len(truth), 192)) * spread / np.sqrt(192)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), truth


def cluster(points: np.ndarray, local: Sequence[tuple[int, int, int]] = (), **settings: Any) -> np.ndarray:
    """Centres of the voices, with the engine's settings and windows of 2 s that overlap by half."""
    engine = make_engine("diarizer", "embedded").model_dump(mode="json")
    chosen: dict[str, Any] = {
        k: engine[k] for k in ("min_speakers", "max_speakers", "max_distance", "max_distance_apart")
    }
    seconds = np.full(len(points), 2.0)
    return clustering.cluster_voices(
        points, seconds, seconds / 2, local, **(chosen | {"min_speech": engine["min_speaker_speech"]} | settings)
    )


def labels(points: np.ndarray, centres: np.ndarray) -> list[int]:
    return (points @ centres.T).argmax(axis=1).tolist()


def are_voices(found: Sequence[int], truth: np.ndarray) -> bool:
    """Whether each label is one voice, and each voice one label."""
    return len(set(found)) == len(set(truth.tolist())) == len(set(zip(found, truth.tolist(), strict=True)))


@pytest.mark.parametrize("sizes", [(1,), (30,), (3_000,), (40, 40), (600, 30), (50, 60, 70, 80)])
def test_clusters_are_the_voices_however_many_windows_there_are(sizes: tuple[int, ...]):
    points, truth = voices(*sizes)
    found = labels(points, cluster(points))
    assert are_voices(found, truth)


def test_a_long_episode_is_clustered_by_a_sample(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clustering, "MAX_EMBEDDINGS", 100)
    points, truth = voices(700, 900)
    found = labels(points, cluster(points))
    assert are_voices(found, truth)


def test_a_few_seconds_are_no_speaker_of_their_own():
    points, _ = voices(40, 40, 2)
    assert len(cluster(points)) == 2
    assert len(cluster(points, min_speakers=3)) == 3
    assert len(cluster(points, max_speakers=1)) == 1


def test_a_voice_whose_embeddings_vary_is_one_speaker():
    """In a distant recording: similarities of 0.55 inside a voice, which is less than those between some other voices."""
    points, truth = voices(12, 12, spread=0.9)
    inside = points[truth == 0] @ points[truth == 0].T
    assert 0.5 < inside[~np.eye(len(inside), dtype=bool)].mean() < 0.6
    found = labels(points, cluster(points))
    assert are_voices(found, truth)


def test_a_voice_that_changes_in_a_clean_recording_is_one_speaker():
    """Two ways to speak, each with similarities of 0.96, and of 0.6 between them, as those between two voices never are there."""
    points, truth = voices(30, 30)
    points += (1.22 * np.eye(192)[2]).astype(np.float32)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    assert 0.58 < float((points[truth == 0] @ points[truth == 1].T).mean()) < 0.62
    assert len(cluster(points)) == 1


def test_similar_voices_stay_apart_where_the_network_tells_them_apart():
    """Two voices whose mean embeddings have a distance of about 0.3, which alone would be one."""
    points, truth = voices(30, 30, spread=0.8)
    near = (points + 1.2 * np.eye(192)[2]).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    first, second = near[truth == 0].mean(axis=0), near[truth == 1].mean(axis=0)
    assert 0.28 < 1 - float(first @ second) / np.linalg.norm(first) / np.linalg.norm(second) < 0.31
    assert len(cluster(near)) == 1
    told = [(i, i // 6, int(truth[i])) for i in range(60)]
    assert len(cluster(near, told)) == 2
