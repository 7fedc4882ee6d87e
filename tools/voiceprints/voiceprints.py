"""Voice prints from spectral statistics, which need no model download.

The print of a window is the mean and standard deviation of its mel-frequency cepstral coefficients (MFCC; Davis and Mermelstein,
1980) over its loud frames, projected by a linear discriminant analysis (LDA) that keeps differences between speakers and reduces
those between words: within one speaker every direction has unit variance, so distances have the same scale in every recording.
This is the classical method from before neural embeddings. It distinguishes clear voices of one recording; it does not recognize a
person across rooms and microphones. `tools/voiceprints/train.py` trains the LDA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.types import SAMPLE_RATE, Audio

Floats = npt.NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("voiceprints.npz")
FRAME_RATE = 100
"""Frames per second."""
COEFFICIENTS = 24
"""Cepstral coefficients kept, from the first on: the zeroth is loudness, which is independent of the speaker."""
LOUD = 3.0
"""A frame counts when its energy is at most this far under the window's loudest frame, as log10 of power (30 dB)."""

_HOP = SAMPLE_RATE // FRAME_RATE
_WINDOW = 400  # 25 ms
_MELS = 80
_FLOOR = 1e-10
_BLOCK = 6_000  # frames at a time: bounds the memory of the spectrogram


@dataclass(frozen=True, slots=True)
class Frames:
    """Features of an episode, one row per 10 ms."""

    cepstra: Floats
    """Mel-frequency cepstral coefficients 1 to 24, shape (n, 24)."""
    energy: Floats
    """Power in the mel bands, as log10, shape (n,)."""


def extract_frames(audio: Audio) -> Frames:
    """Compute cepstral coefficients and energy of mono audio at 16 kHz; audio of less than 10 ms gives no rows."""
    from faster_whisper.feature_extractor import FeatureExtractor
    from scipy.fft import dct, rfft

    filters = FeatureExtractor.get_mel_filters(SAMPLE_RATE, _WINDOW, n_mels=_MELS).astype(np.float32)
    taper = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    count = len(audio) // _HOP
    cepstra, energy = np.zeros((count, COEFFICIENTS), np.float32), np.zeros(count, np.float32)
    margin = (_WINDOW - _HOP) // 2  # centres each window on its own 10 ms
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        first, last = start * _HOP - margin, stop * _HOP + margin
        piece = np.pad(audio[max(first, 0) : last], (max(-first, 0), max(last - len(audio), 0)))
        windows = np.lib.stride_tricks.sliding_window_view(piece, _WINDOW)[::_HOP]
        mel = np.abs(np.asarray(rfft(windows * taper, axis=1))) ** 2 @ filters.T
        energy[start:stop] = np.log10(np.maximum(mel.sum(axis=1), _FLOOR))
        cepstrum = np.asarray(dct(np.log10(np.maximum(mel, _FLOOR)), axis=1, norm="ortho"))
        cepstra[start:stop] = cepstrum[:, 1 : COEFFICIENTS + 1]
    return Frames(cepstra, energy)


def window_statistics(features: Frames, windows: Sequence[tuple[float, float]]) -> Floats:
    """Compute mean and standard deviation of the cepstra over the loud frames of each window.

    Args:
        features: frames of the episode.
        windows: (start, end) in seconds.

    Returns:
        Shape (len(windows), 48).
    """
    statistics = np.zeros((len(windows), 2 * COEFFICIENTS), np.float32)
    for i, (start, end) in enumerate(windows):
        last = max(len(features.energy) - 1, 0)
        first = min(round(start * FRAME_RATE), last)
        piece = slice(first, max(round(end * FRAME_RATE), first + 1))
        energy = features.energy[piece]
        if not len(energy):
            continue
        loud = features.cepstra[piece][energy > energy.max() - LOUD]
        statistics[i] = np.concatenate([loud.mean(axis=0), loud.std(axis=0)])
    return statistics


def voiceprints(statistics: Floats, weights: Path = WEIGHTS) -> Floats:
    """Compute voice prints of windows; Euclidean distances between them compare voices.

    Args:
        statistics: from `window_statistics`, shape (n, 48).
        weights: .npz with `mean`, shape (48,), and `projection`, shape (48, d).

    Returns:
        Shape (n, d).
    """
    mean, projection = _load_weights(weights)
    return ((statistics - mean) @ projection).astype(np.float32, copy=False)


@lru_cache(maxsize=4)
def _load_weights(path: Path) -> tuple[Floats, Floats]:
    with np.load(path) as file:
        return file["mean"], file["projection"]
