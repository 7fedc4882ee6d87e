import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import make_engine
from podcast_assets.quality.scorers.dnsmos.model import GPU_LOAD, BatchLimits, Dnsmos, model_paths
from podcast_assets.quality.scorers.dnsmos.p808 import log_mels, mel_filters
from podcast_assets.quality.scorers.dnsmos.p835 import P835
from podcast_assets.quality.scorers.dnsmos.windows import WINDOW, WindowRun, group_windows, repeat_short, window_starts

RATE = 16_000


@pytest.fixture(scope="module")
def paths() -> tuple[Path, Path]:
    found = model_paths()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def dnsmos(paths: tuple[Path, Path]) -> Dnsmos:
    return Dnsmos(*paths)


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """31 s of a buzz whose pitch and loudness wander at the speed of syllables."""
    t = np.arange(31 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 30))
    loudness = np.clip(np.sin(2 * np.pi * 1.3 * t) + 0.3 * np.sin(2 * np.pi * 4.1 * t), 0, 1)
    hiss = 0.002 * np.random.default_rng(3).standard_normal(len(t))
    return (0.1 * buzz * loudness + hiss).astype(np.float32)


def differences(dnsmos: Dnsmos, some: Sequence[np.ndarray]) -> list[float]:
    """Of each segment, how far its scores are from speechmos' own at most."""
    pytest.importorskip("librosa", reason="the reference implementation needs librosa")
    reference = importlib.import_module("speechmos.dnsmos")
    found = []
    for samples, mos in zip(some, dnsmos(some), strict=True):
        expected = reference.run(samples, RATE)
        assert mos is not None
        found.append(max(abs(getattr(mos, n) - expected[f"{n}_mos"]) for n in ("sig", "bak", "ovrl", "p808")))
    return found


# repeated and two windows; one window; two; seven; and eight, as some are left out
@pytest.mark.parametrize("seconds", [5.6, 9.5, 11.2, 16.9, 25.3])
def test_scores_equal_the_reference(dnsmos: Dnsmos, voice, seconds):
    assert differences(dnsmos, [voice[: round(seconds * RATE)]]) == pytest.approx([0], abs=1e-4)


def test_scores_of_real_speech_equal_the_reference(dnsmos: Dnsmos, real_audio):
    import soundfile

    conversation = soundfile.read(real_audio / "conversation.wav", dtype="float32")[0]
    sentence = soundfile.read(real_audio / "sense-0880.wav", dtype="float32")[0]
    silence = np.zeros(RATE, np.float32)
    # speech, and half of a window without a sound: the spectrum's floor is where its loudest cell puts it
    some = [conversation[2 * RATE : 15 * RATE], sentence, np.concatenate([sentence, *[silence] * 7])]
    assert differences(dnsmos, some) == pytest.approx([0, 0, 0], abs=1e-4)


def test_a_window_gets_the_same_score_in_a_batch_as_alone(paths: tuple[Path, Path], voice):
    """Shared work in blocks of several sizes, and windows of several stretches in one call, against the network itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(paths[0]), providers=["CPUExecutionProvider"])
    begins = [0, 4, 100, 500]
    samples = voice[: 500 * 160 + WINDOW]
    cut = [samples[b * 160 : b * 160 + WINDOW] for b in begins]
    expected = [np.asarray(session.run(None, {"input_1": w[None]})[0])[0] for w in [*cut, cut[2]]]
    together = [WindowRun(samples, begins), WindowRun(cut[2], [0])]
    for block, batch in ((36, 4), (300, 1), (6000, 64)):
        found = P835(paths[0], block=block, batch=batch)(together)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"blocks of {block} frames")


@pytest.mark.parametrize("hop", [0.48, 0.5, 1.0, 4.5, 9.0])
def test_how_much_is_done_at_once_does_not_change_the_scores(paths: tuple[Path, Path], dnsmos: Dnsmos, voice, hop):
    segments = [voice[: 11 * RATE], np.zeros(RATE, np.float32), voice[RATE : 4 * RATE], np.zeros(0, np.float32)]
    one_by_one, together = (Dnsmos(*paths, hop=hop, load=load)(segments) for load in (BatchLimits(1, 100, 1), GPU_LOAD))
    assert [m is None for m in one_by_one] == [False, True, False, True]
    for a, b in zip(one_by_one, together, strict=True):
        if a and b:
            assert (a.sig, a.bak, a.ovrl, a.p808) == pytest.approx((b.sig, b.bak, b.ovrl, b.p808), abs=1e-4)
    if hop != 1.0:
        assert one_by_one[0] != dnsmos(segments)[0]


def test_no_segments_have_no_scores(dnsmos: Dnsmos):
    assert dnsmos([]) == []
    assert dnsmos([np.zeros(5, np.float32)]) == [None]


def test_another_network_is_not_taken_for_this_one(paths: tuple[Path, Path]):
    with pytest.raises(EngineUnavailable, match=r"model_v8\.onnx is not the supported network of DNSMOS P\.835"):
        P835(paths[1])


def test_mel_features_equal_librosas(voice):
    librosa = pytest.importorskip("librosa")
    begins = [0, 100, 404]
    stretch = WindowRun(voice[: 404 * 160 + WINDOW], begins)
    for begin, found in zip(begins, log_mels(stretch, mel_filters()), strict=True):
        samples = voice[begin * 160 : begin * 160 + 144_000]
        power = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=321, hop_length=160, n_mels=120)
        np.testing.assert_allclose(found, (librosa.power_to_db(power, ref=np.max).T + 40) / 40, atol=1e-4)


def test_windows():
    assert window_starts(WINDOW, 1.0) == [0]
    assert window_starts(28 * RATE, 9.0) == [0, 9 * RATE, 18 * RATE]
    assert len(repeat_short(np.ones(RATE, np.float32))) == 16 * RATE
    assert len(repeat_short(np.ones(WINDOW, np.float32))) == WINDOW


@pytest.mark.parametrize("seconds", [9.01, 10.0, 10.5, 16.9, 31.0, 130.2])
def test_windows_are_those_of_the_references_loop(seconds):
    audio = range(int(seconds * RATE))
    hops = int(np.floor(len(audio) / RATE) - 9.01) + 1
    expected = [i * RATE for i in range(hops) if len(audio[i * RATE : int((i + 9.01) * RATE)]) >= int(9.01 * RATE)]
    assert window_starts(len(audio), 1.0) == expected


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ([0, RATE, 3 * RATE], [(0, [0, 100, 300])]),
        ([0, RATE, 2 * RATE, 3 * RATE], [(0, [0, 100, 200]), (3 * RATE, [0])]),  # no more than three
        ([0, 8000, RATE], [(0, [0]), (8000, [0]), (RATE, [0])]),  # 50 frames are not a multiple of four
        ([0, 9 * RATE], [(0, [0]), (9 * RATE, [0])]),  # a window has 900 frames: the next has none of them
        ([100, 100 + 640], [(100, [0, 4])]),
    ],
)
def test_windows_that_can_share_are_in_one_stretch(starts, expected):
    audio = np.arange(20 * RATE, dtype=np.float32)
    found = list(group_windows(audio, starts, 3))
    assert [(int(s.samples[0]), list(s.begins)) for s in found] == expected
    assert all(len(s.samples) == s.begins[-1] * 160 + WINDOW for s in found)


def test_engine_scores_each_segment_of_an_episode(voice):
    engine = make_engine("scorer", "dnsmos", hop=9.0, device="cpu")
    audio = np.concatenate([voice[: 10 * RATE], np.zeros(5 * RATE, np.float32)])
    speech, short, silent, empty = engine.load().score(audio, [(0.0, 10.0), (3.0, 3.05), (11.0, 14.0), (14.9, 14.9)])
    names = {"dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"}
    assert speech.keys() == short.keys() == silent.keys() == empty.keys() == names
    assert all(1 <= value <= 5 for value in speech.values())
    assert short["dnsmos_ovrl"] is not None
    assert set(silent.values()) == set(empty.values()) == {None}


def test_hop_is_part_of_the_identity_and_what_computes_is_not():
    settings = ({}, {"threads": 7, "device": "cpu"}, {"hop": 4.5})
    identities = [make_engine("scorer", "dnsmos", **s).identity() for s in settings]
    assert identities[0] == identities[1] != identities[2]
