import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from podcast_assets.quality.signal import (
    bandwidth_hz,
    clipping_share,
    loudness_lufs,
    peak_db,
    rms_db,
    signal_measures,
    snr_db,
)

RATE = 16_000


def tone(frequency: float, seconds: float, amplitude: float = 1.0) -> npt.NDArray[np.float32]:
    t = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def noise(seconds: float, rms: float = 0.1, seed: int = 5) -> npt.NDArray[np.float32]:
    return (rms * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def speechlike(seconds: float) -> npt.NDArray[np.float32]:
    """Magnitudes distributed as those of clean speech, gamma of shape 0.4, with pauses for a fifth of the time."""
    n = round(seconds * RATE)
    random = np.random.default_rng(6)
    x = random.gamma(0.4, size=n) * random.choice([-1, 1], size=n)
    x[np.arange(n) % RATE > 0.8 * RATE] = 0
    return (0.05 * x / x.std()).astype(np.float32)


def test_a_full_scale_sine_is_0_dbfs_peak_and_3_below_in_power():
    sine = tone(440, 2)
    assert peak_db(sine) == pytest.approx(0, abs=0.01)
    assert rms_db(sine) == pytest.approx(-3.01, abs=0.01)


def test_loudness_is_that_of_the_standard():
    # ITU-R BS.1770-4: a 997 Hz sine at full scale in one front channel measures -3.01 LUFS
    assert loudness_lufs(tone(997, 5), RATE) == pytest.approx(-3.01, abs=0.1)
    assert loudness_lufs(tone(997, 5, 0.1), RATE) == pytest.approx(-23.01, abs=0.1)


@pytest.mark.parametrize("truth", [0, 5, 10, 20, 30])
def test_snr_of_known_mixtures(truth):
    speech = speechlike(20)
    mixture = speech + noise(20, float(speech.std()) * 10 ** (-truth / 20))
    assert snr_db(mixture, RATE) == pytest.approx(truth, abs=1.5)


def test_snr_without_any_noise_is_the_most_that_there_is():
    assert snr_db(speechlike(3), RATE) == 100


def test_snr_of_noise_alone_is_low():
    assert snr_db(noise(3), RATE) < -8  # type: ignore[operator]


def test_snr_does_not_depend_on_the_level():
    mixture = speechlike(10) + noise(10, 0.005)
    assert snr_db(mixture, RATE) == pytest.approx(snr_db(mixture / np.float32(100), RATE), abs=0.01)


def test_clipping_grows_with_what_is_cut_off():
    assert clipping_share(tone(100, 2, 0.9)) == 0
    shares = [clipping_share(np.clip(tone(100, 2, gain), -1, 1)) for gain in (1.1, 2, 10)]
    expected = [1 - 2 / math.pi * math.asin(0.99 / gain) for gain in (1.1, 2, 10)]
    assert shares == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("cutoff", [2000, 4000, 6000])
def test_bandwidth_follows_a_low_pass(cutoff):
    narrow = soxr.resample(soxr.resample(noise(3), RATE, 2 * cutoff), 2 * cutoff, RATE)
    assert bandwidth_hz(narrow, RATE) == pytest.approx(cutoff, rel=0.06)


@pytest.mark.parametrize(("level", "bandwidth"), [(-35, 8000), (-65, 2000)])
def test_bandwidth_counts_what_is_less_than_50_db_below_the_strongest(level, bandwidth):
    low = soxr.resample(soxr.resample(noise(3), RATE, 4000), 4000, RATE)
    assert bandwidth_hz(low + noise(3, 0.1 * 10 ** (level / 20), seed=7), RATE) == pytest.approx(bandwidth, rel=0.06)


def test_bandwidth_of_white_noise_is_half_the_rate():
    assert bandwidth_hz(noise(3), RATE) == 8000
    assert bandwidth_hz(noise(3), 48_000) == 24_000


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(0, np.float32), id="nothing"),
        pytest.param(np.zeros(32_000, np.float32), id="silence"),
        pytest.param(np.zeros(800, np.float32), id="short silence"),
        pytest.param(np.ones(1, np.float32), id="one sample"),
        pytest.param(noise(0.05), id="50 ms"),
        pytest.param(np.ones(32_000, np.float32), id="constant"),
        pytest.param(np.full(32_000, 1e-30, np.float32), id="almost nothing"),
        pytest.param(np.eye(1, 32_000, 5, np.float32)[0], id="a click"),
    ],
)
def test_every_measure_is_a_finite_number_or_none_without_warnings(samples):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measures = signal_measures(samples, RATE)
    assert all(v is None or math.isfinite(v) for v in measures.values()), measures


def test_silence_has_no_level():
    silence = signal_measures(np.zeros(32_000, np.float32), RATE)
    assert silence == {
        "snr_db": None,
        "clipping_share": 0.0,
        "peak_db": None,
        "rms_db": None,
        "loudness_lufs": None,
        "bandwidth_hz": None,
    }
