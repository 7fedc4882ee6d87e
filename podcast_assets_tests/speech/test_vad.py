import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from podcast_assets.demo import BATCH, REFERENCES
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Samples
from podcast_assets.speech.vad import speech_stretches


@pytest.fixture(scope="module")
def episode() -> Samples:
    return np.asarray(decode_audio(str(BATCH / "night-science.mp3")), np.float32)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.2, 5])
def test_silence_has_no_speech(seconds: float):
    assert speech_stretches(np.zeros(int(seconds * SAMPLE_RATE), np.float32)) == []


def test_stretches_are_in_order_and_cover_what_is_spoken(episode: Samples):
    stretches = speech_stretches(episode)
    borders = [t for stretch in stretches for t in stretch]
    assert borders == sorted(borders)
    assert borders[0] >= 0
    assert borders[-1] <= len(episode) / SAMPLE_RATE
    spoken = parse_rttm((REFERENCES / "night-science.rttm").read_text())["night-science"]
    for turn in spoken:
        inside = sum(max(0, min(e, turn.end) - max(s, turn.start)) for s, e in stretches)
        assert inside > 0.75 * (turn.end - turn.start)
    assert sum(e - s for s, e in stretches) < 1.1 * sum(t.end - t.start for t in spoken)


def test_times_count_from_the_start_of_the_audio(episode: Samples):
    late = np.concatenate([np.zeros(3 * SAMPLE_RATE, np.float32), episode])
    assert speech_stretches(late)[0][0] == pytest.approx(speech_stretches(episode)[0][0] + 3, abs=0.1)
