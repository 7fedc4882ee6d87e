import importlib

import numpy as np
import pytest

from podcast_assets.engines import make_engine
from podcast_assets.quality.dnsmos import WINDOW, Dnsmos, log_mel, mel_filters, model_paths, repeated, window_starts

RATE = 16_000


@pytest.fixture(scope="module")
def dnsmos() -> Dnsmos:
    paths = model_paths()
    assert paths is not None
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


@pytest.mark.parametrize("seconds", [5.6, 9.5, 11.2])  # repeated and two windows, one window, two windows
def test_scores_equal_the_reference(dnsmos: Dnsmos, voice, seconds):
    pytest.importorskip("librosa", reason="the reference implementation needs librosa")
    reference = importlib.import_module("speechmos.dnsmos")
    samples = voice[: round(seconds * RATE)]
    expected = reference.run(samples, RATE)
    found = dnsmos(samples)
    assert found is not None
    for name in ("sig", "bak", "ovrl", "p808"):
        assert getattr(found, name) == pytest.approx(expected[f"{name}_mos"], abs=1e-3)


def test_mel_features_equal_librosas(voice):
    librosa = pytest.importorskip("librosa")
    samples = voice[:144_000]
    power = librosa.feature.melspectrogram(y=samples, sr=RATE, n_fft=321, hop_length=160, n_mels=120)
    expected = (librosa.power_to_db(power, ref=np.max) + 40) / 40
    np.testing.assert_allclose(log_mel(samples, mel_filters()), expected.T, atol=1e-4)


def test_windows():
    assert window_starts(WINDOW, 1.0) == [0]
    assert window_starts(28 * RATE, 9.0) == [0, 9 * RATE, 18 * RATE]
    assert len(repeated(np.ones(RATE, np.float32))) == 16 * RATE
    assert len(repeated(np.ones(WINDOW, np.float32))) == WINDOW


@pytest.mark.parametrize("seconds", [9.01, 10.0, 10.5, 16.9, 31.0, 130.2])
def test_windows_are_those_of_the_references_loop(seconds):
    audio = range(int(seconds * RATE))
    hops = int(np.floor(len(audio) / RATE) - 9.01) + 1
    expected = [i * RATE for i in range(hops) if len(audio[i * RATE : int((i + 9.01) * RATE)]) >= int(9.01 * RATE)]
    assert window_starts(len(audio), 1.0) == expected


def test_noise_lowers_the_scores(dnsmos: Dnsmos, real_audio):
    import soundfile

    clean, rate = soundfile.read(real_audio / "sense-0880.wav", dtype="float32")
    assert rate == RATE
    clean = np.asarray(clean, np.float32)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32) * clean.std() * 10 ** (-5 / 20)
    before, after = dnsmos(clean), dnsmos((clean + noise).clip(-1, 1))
    assert before is not None
    assert after is not None
    assert after.bak < before.bak - 1
    assert after.ovrl < before.ovrl - 0.5
    assert after.p808 < before.p808 - 0.5


def test_engine_scores_each_segment_of_an_episode(voice):
    engine = make_engine("scorer", "dnsmos", hop=9.0)
    audio = np.concatenate([voice[: 10 * RATE], np.zeros(5 * RATE, np.float32)])
    scores = engine.load().score(audio, [(0.0, 10.0), (3.0, 3.05), (11.0, 14.0), (14.9, 14.9)])
    speech, short, silent, empty = scores
    assert all(s.keys() == speech.keys() for s in scores)
    assert all(value is not None for value in speech.values())
    assert 1 <= speech["dnsmos_ovrl"] <= 5
    assert short["snr_db"] is None
    assert short["dnsmos_ovrl"] is not None
    for nothing in (silent, empty):
        assert nothing["dnsmos_ovrl"] is None
        assert nothing["peak_db"] is None


def test_hop_is_part_of_the_identity_and_threads_are_not():
    identities = [make_engine("scorer", "dnsmos", **s).identity() for s in ({}, {"threads": 7}, {"hop": 4.5})]
    assert identities[0] == identities[1] != identities[2]
