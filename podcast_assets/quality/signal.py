"""Measures of a segment's signal. Each gives None where it has no meaning (silence, too short), never NaN or an infinity."""

import math
import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.levels import clipped_count, peak
from podcast_assets.quality.protocol import Scores

Samples = npt.NDArray[np.float32]
"""Mono, shape (n,), float32; full scale is 1.0."""

_SNR_SECONDS = 0.3  # below, chance moves the estimate by several dB
_SNR_RANGE_DB = (-20, 100)
_SPEECH_SHAPE = 0.4
_BANDWIDTH_FFT_SECONDS = 0.032
_BANDWIDTH_THRESHOLD_DB = -50.0
_LOUDNESS_BLOCK_SECONDS = 0.4


def signal_measures(samples: Samples, rate: int) -> Scores:
    """All measures of this module, under their column names."""
    return {
        "snr_db": snr_db(samples, rate),
        "clipping_share": clipping_share(samples),
        "peak_db": peak_db(samples),
        "rms_db": rms_db(samples),
        "loudness_lufs": loudness_lufs(samples, rate),
        "bandwidth_hz": bandwidth_hz(samples, rate),
    }


def peak_db(samples: Samples) -> float | None:
    """Largest magnitude in dBFS (0 is full scale); None for silence."""
    return _decibel(peak(samples))


def rms_db(samples: Samples) -> float | None:
    """Root mean square in dBFS, a square wave at full scale being 0; None for silence."""
    return _decibel(math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))) if samples.size else None


def clipping_share(samples: Samples) -> float | None:
    """Share of samples, 0 to 1, at or above `CLIP_LEVEL`; None for no samples."""
    return clipped_count(samples) / samples.size if samples.size else None


def loudness_lufs(samples: Samples, rate: int) -> float | None:
    """Integrated loudness in LUFS (ITU-R BS.1770-4, gated); None for less than 0.4 s or nothing above the gate of -70 LUFS."""
    if len(samples) < _LOUDNESS_BLOCK_SECONDS * rate:
        return None
    import pyloudnorm

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # pyloudnorm takes the logarithm, and the mean, of what may be nothing
        loudness = float(pyloudnorm.Meter(rate).integrated_loudness(samples.astype(np.float64)))
    return loudness if math.isfinite(loudness) else None


def bandwidth_hz(samples: Samples, rate: int) -> float | None:
    """Effective bandwidth: the highest frequency whose mean power is within 50 dB of the strongest frequency's.

    The measure of Bakhturina et al., "Hi-Fi Multi-Speaker English TTS Dataset", Interspeech 2021. It can be at most half the rate:
    8,000 Hz for working audio, whatever the original had. None for silence and less than 32 ms.
    """
    size = round(_BANDWIDTH_FFT_SECONDS * rate)
    if len(samples) < size or not samples.any():
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    spectrum = np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)
    power = np.mean(spectrum.real**2 + spectrum.imag**2, axis=0)
    strong = np.flatnonzero(power >= power.max() * 10 ** (_BANDWIDTH_THRESHOLD_DB / 10))
    return float(strong[-1] * rate / size)


def snr_db(samples: Samples, rate: int) -> float | None:
    """Estimated signal-to-noise ratio in dB, -20 to 100; None for silence and less than 0.3 s.

    WADA-SNR (Kim and Stern, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution analysis",
    Interspeech 2008): magnitudes of clean speech follow a gamma distribution of shape 0.4, and noise makes them more Gaussian.
    What is neither speech nor broadband noise (music, hum) misleads it.
    """
    magnitudes = np.abs(samples[samples != 0], dtype=np.float64)
    if len(magnitudes) < _SNR_SECONDS * rate:
        return None
    statistic = math.log(magnitudes.mean()) - float(np.log(magnitudes).mean())
    ratios, statistics = _wada_table()
    return float(np.interp(statistic, statistics, ratios))


@lru_cache(maxsize=1)
def _wada_table() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Ratios in dB and the statistic ln E|z| - E ln|z| of gamma-distributed speech in Gaussian noise at each.

    The expectations are means over a grid of quantiles of the two distributions.
    """
    from scipy.special import gammaincinv, ndtri

    speech = gammaincinv(_SPEECH_SHAPE, (np.arange(2000) + 0.5) / 2000)
    speech /= math.sqrt(np.mean(speech**2))
    noise = ndtri((np.arange(200) + 0.5) / 200)
    ratios = np.arange(_SNR_RANGE_DB[0], _SNR_RANGE_DB[1] + 1, 2.0)
    statistics = np.empty_like(ratios)
    for i, ratio in enumerate(ratios):
        mixed = np.abs(speech[:, None] + noise[None] * 10 ** (-ratio / 20))
        statistics[i] = math.log(mixed.mean()) - np.log(mixed).mean()
    return ratios, np.maximum.accumulate(statistics)


def _decibel(magnitude: float) -> float | None:
    return 20 * math.log10(magnitude) if magnitude > 0 else None
