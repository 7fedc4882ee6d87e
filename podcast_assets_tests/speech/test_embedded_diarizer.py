from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from podcast_assets.demo import BATCH, REFERENCES
from podcast_assets.engines.engine import make_engine
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
    assert found.full is None
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
    assert set(found.embeddings) == {t.speaker for t in found.turns} == {"SPEAKER_00", "SPEAKER_01"}
    for name, embedding in found.embeddings.items():
        assert embedding.shape == (24,)
        assert embedding.dtype == np.float32
        turn = max((t for t in found.turns if t.speaker == name), key=lambda t: t.end - t.start)
        (speaker,) = {r.speaker for r in reference if r.start <= (turn.start + turn.end) / 2 <= r.end}
        (voice,) = diarizer.diarize(alone(audio, reference, speaker)).embeddings.values()
        distances = {n: float(np.linalg.norm(e - voice)) for n, e in found.embeddings.items()}
        assert min(distances, key=distances.__getitem__) == name


def test_long_audio_is_read_in_short_slices(diarizer: Diarizer):
    class Careful(Pcm):
        def __getitem__(self, part: slice) -> Samples:
            assert part.stop - part.start <= 70 * SAMPLE_RATE
            return super().__getitem__(part)

    audio, _ = load(BATCH / "night-science.mp3")
    pcm = np.round(np.tile(audio, 3) * 32767).astype(np.int16)
    found = diarizer.diarize(Careful(pcm))
    assert found.turns == diarizer.diarize(pcm.astype(np.float32) / np.float32(32768)).turns
    assert {t.speaker for t in found.turns} == {"SPEAKER_00", "SPEAKER_01"}


def test_the_weights_and_the_voice_activity_model_are_part_of_the_identity():
    engine = make_engine("diarizer", "embedded")
    assert [f.suffix for f in engine.model_files()] == [".npz", ".onnx"]
    assert engine.identity() != make_engine("diarizer", "embedded", min_separation=6).identity()


def voices(*sizes: int, apart: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    """Prints of made-up voices, unit variance in 24 dimensions, in random order, with the voice of each."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = apart / np.sqrt(2) * np.eye(24)[: len(sizes)]
    return (centres[truth] + rng.normal(size=(len(truth), 24))).astype(np.float32), truth


@pytest.mark.parametrize("sizes", [(1,), (30,), (3_000,), (40, 40), (600, 30), (50, 60, 70, 80)])
def test_clusters_are_the_voices_however_many_windows_there_are(sizes: tuple[int, ...]):
    prints, truth = voices(*sizes)
    labels = clustering.cluster_speakers(prints)
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == len(sizes)


def test_a_long_episode_is_clustered_by_a_sample(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clustering, "MAX_WINDOWS", 100)
    prints, truth = voices(700, 900)
    labels = clustering.cluster_speakers(prints)
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 2
