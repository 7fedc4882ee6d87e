import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps

from podcast_assets.speech import vad
from podcast_assets.speech.rttm import parse_rttm
from podcast_assets.speech.types import SAMPLE_RATE, Pcm, Samples
from podcast_assets.speech.vad import FRAME, detect_speech, speech_probabilities, speech_timestamps
from podcast_assets_tests.miniature import BATCH, REFERENCES


@pytest.fixture(scope="module")
def episode() -> Samples:
    return np.asarray(decode_audio(str(BATCH / "night-science.mp3")), np.float32)


@pytest.mark.parametrize("seconds", [0, 0.001, 0.2, 5])
def test_silence_has_no_speech(seconds: float):
    assert detect_speech(np.zeros(int(seconds * SAMPLE_RATE), np.float32)) == []


def test_stretches_are_in_order_and_cover_what_is_spoken(episode: Samples):
    stretches = detect_speech(episode)
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
    assert detect_speech(late)[0][0] == pytest.approx(detect_speech(episode)[0][0] + 3, abs=0.1)


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize(("min_speech", "min_silence", "pad"), [(0.1, 0.25, 0.03), (0.25, 0.1, 0.03), (0.1, 0.3, 0.15)])
def test_the_same_timestamps_as_all_audio_in_one_go(
    episode: Samples, threshold: float, min_speech: float, min_silence: float, pad: float
):
    for length in (len(episode) // FRAME * FRAME - 100, 90_000, 700):
        options = VadOptions(
            threshold=threshold,
            min_speech_duration_ms=round(min_speech * 1000),
            min_silence_duration_ms=round(min_silence * 1000),
            speech_pad_ms=round(pad * 1000),
        )
        expected = get_speech_timestamps(episode[:length].copy(), options)
        found = detect_speech(
            episode[:length], threshold=threshold, min_speech=min_speech, min_silence=min_silence, pad=pad
        )
        assert found == [(s["start"] / SAMPLE_RATE, min(s["end"], length) / SAMPLE_RATE) for s in expected]


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_blocks_do_not_show(episode: Samples, monkeypatch: pytest.MonkeyPatch, block: int):
    some = episode[: 20 * SAMPLE_RATE + 5]
    expected = speech_probabilities(some)
    assert expected.shape == (-(-len(some) // FRAME),)
    monkeypatch.setattr(vad, "_BLOCK", block)
    np.testing.assert_allclose(speech_probabilities(some), expected, rtol=0, atol=1e-5)


def test_long_audio_is_read_in_short_slices(episode: Samples):
    class Careful(Pcm):
        def __getitem__(self, part: slice) -> Samples:
            assert part.stop - part.start <= 20 * SAMPLE_RATE
            return super().__getitem__(part)

    pcm = np.round(np.tile(episode, 3) * 32767).astype(np.int16)
    assert detect_speech(Careful(pcm)) == detect_speech(pcm.astype(np.float32) / np.float32(32768))


LOUD, FAINT, NOTHING = 0.9, 0.4, 0.1


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([NOTHING] * 9, []),
        ([LOUD] * 9, [(0, 9)]),
        ([0.49] * 5 + [0.5] * 9, [(5, 14)]),
        ([NOTHING, *[LOUD] * 5, *[NOTHING] * 20], [(1, 6)]),
        ([LOUD] * 5 + [FAINT] * 20, [(0, 25)]),  # not so faint as to end it
        ([FAINT] * 20 + [LOUD] * 5, [(20, 25)]),  # too faint to start it
        ([LOUD] * 5 + [NOTHING] * 4 + [LOUD] * 5, [(0, 14)]),  # a pause of 0.128 s
        ([LOUD] * 5 + [NOTHING] * 9 + [LOUD] * 5, [(0, 5), (14, 19)]),
        ([LOUD] * 5 + [NOTHING] + [FAINT] * 8 + [NOTHING] + [LOUD] * 5, [(0, 5), (15, 20)]),  # counted from the first
        ([LOUD] * 2 + [NOTHING] * 20 + [LOUD] * 5, [(22, 27)]),  # 0.064 s are no speech
        ([LOUD] * 5 + [NOTHING] * 20 + [LOUD] * 2, [(0, 5)]),
    ],
)
def test_stretches_by_hand(frames: list[float], expected: list[tuple[int, int]]):
    found = speech_timestamps(np.array(frames, np.float32), len(frames) * FRAME, pad=0)
    assert found == [(s * FRAME / SAMPLE_RATE, e * FRAME / SAMPLE_RATE) for s, e in expected]


def test_padding_ends_in_the_middle_of_a_pause_and_with_the_audio():
    frames = np.array([NOTHING, *[LOUD] * 5, *[NOTHING] * 10, *[LOUD] * 5, NOTHING], np.float32)
    frame = FRAME / SAMPLE_RATE
    length = len(frames) * FRAME
    for pad, expected in ((2, [(0, 8), (14, 22)]), (7, [(0, 11), (11, 22)])):
        np.testing.assert_allclose(speech_timestamps(frames, length, pad=pad * frame), np.array(expected) * frame)
