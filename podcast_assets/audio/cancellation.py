"""Channels that cancel each other out in the mix, as where one is inverted: detected, and one of them chosen instead.

A cable with swapped poles inverts one channel of a stereo recording, and its mean is silence. Players with two loudspeakers or
earphones do not show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.planar import Planar

_WINDOW_SECONDS = 0.1
_MEASURED_RATE = 5_512
"""Samples per second that are measured, about: energies need no more, and aliases cancel each other out as their originals do."""
_LAG_SECONDS = 0.64e-3
"""Differences over this time are measured in place of samples. They weaken hum, whose cancellation is welcome, by 20 dB, and keep
most of 300 to 1,300 Hz, where speech is."""
_LOUD = 10 ** (-20 / 10)
"""Loud windows, which are speech or as loud as it: down to 20 dB below the level that 5 % of the windows exceed."""
_SILENCE = 10 ** (-70 / 10)
"""No window below -70 dBFS is loud."""
_CANCELLED = 10 ** (-6 / 10)
"""Energy of a cancelled mix, relative to its loudest part: that of stereo, in which each channel has the weight one half, is 12 dB
below the louder channel."""
_QUIETER = 10 ** (-12 / 10)
"""Energy of a channel that does not have what the loudest one has."""
_LEAST_SHARE, _LEAST_WINDOWS = 0.02, 5
"""Loud windows that must be cancelled: 2 %, and half a second (or half of a file that is shorter than a second)."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Verdict on the channels of a track that cancel each other out."""

    share: float
    """Share of the loud windows, 0 to 1, in which the mix is cancelled."""
    channel: int | None
    """Channel to take instead of the mix, counted from 1; None if no channel loses less than the mix."""


class CancellationMeter:
    """Measures blocks of a track."""

    def __init__(self, rate: int, weights: Sequence[float]) -> None:
        """Create the meter.

        Args:
            rate: sample rate in Hz.
            weights: of the channels in the mix.
        """
        self._weights = np.array(weights, np.float32)
        self._stride = max(1, rate // _MEASURED_RATE)
        self._window = max(1, round(rate * _WINDOW_SECONDS / self._stride))
        self._lag = max(1, round(rate * _LAG_SECONDS / self._stride))
        self._channels: list[npt.NDArray[np.float32]] = []
        self._mixes: list[npt.NDArray[np.float32]] = []

    def add(self, block: Planar) -> None:
        """Measure a block of shape (channels, n)."""
        samples = block[:, :: self._stride]
        samples = samples[:, self._lag :] - samples[:, : -self._lag]
        length = min(self._window, samples.shape[1])
        count = samples.shape[1] // length if length else 0
        if not count:
            return
        samples = np.ascontiguousarray(samples[:, : count * length])
        self._channels.append(_energy(samples.reshape(len(block), count, length)))
        self._mixes.append(_energy(np.asarray(self._weights @ samples, np.float32).reshape(count, length)))

    def verdict(self) -> Cancellation | None:
        """Judge all blocks; None if the mix is fine."""
        if not self._mixes:
            return None
        parts = np.concatenate(self._channels, axis=1) * (self._weights**2)[:, None]
        mix, loudest = np.concatenate(self._mixes), parts.max(axis=0)
        silence = _SILENCE * float(self._weights.max()) ** 2
        loud = loudest >= max(float(np.quantile(loudest, 0.95)) * _LOUD, silence)
        lost, count = int((loud & (mix < loudest * _CANCELLED)).sum()), int(loud.sum())
        if not lost or lost < max(_LEAST_SHARE * count, min(_LEAST_WINDOWS, count / 2)):
            return None
        lost_of_channel = (loud & (parts < loudest * _QUIETER)).sum(axis=1)
        energy = parts[:, loud].sum(axis=1)
        best = min(range(len(parts)), key=lambda c: (lost_of_channel[c], -energy[c]))
        return Cancellation(lost / count, best + 1 if lost_of_channel[best] < lost / 2 else None)


def _energy(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean square of each window along the last axis."""
    return np.asarray(np.einsum("...i,...i->...", windows, windows) / windows.shape[-1], np.float32)
