"""Measures of a segment's signal. Undefined values (silence, too short) are None, never NaN or infinite."""

import math
import warnings

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.levels import clipped_count, peak
from podcast_assets.quality.protocol import Scores

Samples = npt.NDArray[np.float32]
"""Mono, shape (n,), float32; full scale is 1.0."""

_SNR_SECONDS = 0.3  # in shorter segments the estimate varies by several dB
_SNR_RANGE_DB = (-20, 100)
_SNR_FRAME_SECONDS = 0.032
_NOISE_QUANTILE = 0.1
_BANDWIDTH_FFT_SECONDS = 0.032
_BANDWIDTH_THRESHOLD_DB = -50.0
_BLOCK_FRAMES = 1024
_LOUDNESS_BLOCK_SECONDS = 0.4


def signal_measures(samples: Samples, rate: int) -> Scores:
    """Compute all measures of this module, by column name."""
    return {
        "snr_db": snr_db(samples, rate),
        "clipping_share": clipping_share(samples),
        "peak_db": peak_db(samples),
        "rms_db": rms_db(samples),
        "loudness_lufs": loudness_lufs(samples, rate),
        "bandwidth_hz": bandwidth_hz(samples, rate),
    }


def peak_db(samples: Samples) -> float | None:
    """Return the largest magnitude in dBFS (0 is full scale); None for silence."""
    return _to_decibel(peak(samples))


def rms_db(samples: Samples) -> float | None:
    """Compute the root mean square in dBFS, a square wave at full scale being 0; None for silence."""
    return _to_decibel(math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))))) if samples.size else None


def clipping_share(samples: Samples) -> float | None:
    """Compute the share of samples, 0 to 1, at or above `CLIP_LEVEL`; None for no samples."""
    return clipped_count(samples) / samples.size if samples.size else None


def loudness_lufs(samples: Samples, rate: int) -> float | None:
    """Compute the integrated loudness in LUFS (ITU-R BS.1770-4, gated); None below 0.4 s or below the gate of -70 LUFS."""
    if len(samples) < _LOUDNESS_BLOCK_SECONDS * rate:
        return None
    import pyloudnorm

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # pyloudnorm computes logarithms and means that may be undefined
        loudness = float(pyloudnorm.Meter(rate).integrated_loudness(samples.astype(np.float64)))
    return loudness if math.isfinite(loudness) else None


def bandwidth_hz(samples: Samples, rate: int) -> float | None:
    """Compute the effective bandwidth: the highest frequency whose mean power is within 50 dB of the strongest frequency's.

    Measure of Bakhturina et al., "Hi-Fi Multi-Speaker English TTS Dataset", Interspeech 2021. It is at most half the rate:
    8,000 Hz for working audio, whatever the bandwidth of the original. None for silence and less than 32 ms.
    """
    size = round(_BANDWIDTH_FFT_SECONDS * rate)
    if len(samples) < size or not samples.any():
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    window, power = np.hanning(size).astype(np.float32), np.zeros(size // 2 + 1)
    for at in range(0, len(frames), _BLOCK_FRAMES):  # a whole hour at once would take gigabytes
        spectrum = np.fft.rfft(frames[at : at + _BLOCK_FRAMES] * window, axis=1)
        power += np.sum(spectrum.real**2 + spectrum.imag**2, axis=0)
    strong = np.flatnonzero(power >= power.max() * 10 ** (_BANDWIDTH_THRESHOLD_DB / 10))
    return float(strong[-1] * rate / size)


def snr_db(samples: Samples, rate: int) -> float | None:
    """Estimate the signal-to-noise ratio in dB, -20 to 100; None for silence and less than 0.3 s.

    Speech has pauses and noise does not, so the noise power is the tenth percentile of the frames' powers, and the speech power is
    the mean minus that: quantile-based noise estimation (Stahl, Fischer and Bippus, ICASSP 2000), over the whole
    band. Music pauses too: 10 dB of it may be called 15. Below 2 s, pauses may be missing, and the estimate is a few dB low.
    """
    size = round(_SNR_FRAME_SECONDS * rate)
    if len(samples) < _SNR_SECONDS * rate or not samples.any():
        return None
    energies = np.cumsum(np.concatenate([[0.0], np.square(samples, dtype=np.float64)]))
    starts = np.arange(0, len(samples) - size + 1, size // 2)
    powers = (energies[starts + size] - energies[starts]) / size
    noise = max(float(np.quantile(powers, _NOISE_QUANTILE)), 0.0)
    speech = float(powers.mean()) - noise
    least, most = _SNR_RANGE_DB
    if noise <= speech * 10 ** (-most / 10):
        return float(most)
    return float(np.clip(10 * math.log10(max(speech, noise * 10 ** (least / 10)) / noise), least, most))


def _to_decibel(magnitude: float) -> float | None:
    return 20 * math.log10(magnitude) if magnitude > 0 else None
