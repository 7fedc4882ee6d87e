"""Levels of whole recordings, and the gain that brings one to the level of a corpus."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.levels import peak

Loudness = Literal["none", "emilia"]

EMILIA_TARGET = -20.0
"""Target RMS of a whole recording in dBFS."""
EMILIA_MAX_CHANGE = 3.0
"""Largest change of a recording's level in dB."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of a recording; full scale is 1.0."""

    rms: float
    peak: float


def measure_levels(blocks: Iterable[npt.NDArray[np.float32]]) -> Levels:
    """Measure RMS and peak over all samples of all channels, block by block."""
    energy, count, highest = 0.0, 0, 0.0
    for block in blocks:
        flat = block.ravel()
        energy += float(np.dot(flat, flat))
        count += flat.size
        highest = max(highest, peak(flat))
    return Levels(math.sqrt(energy / count) if count else 0.0, highest)


def emilia_gain(levels: Levels) -> float:
    """Return the factor that brings a recording to the level that Emilia gives it.

    Emilia-Pipe (`preprocess_audio` in Amphion's preprocessors/Emilia/main.py; He et al., "Emilia", 2024, standardization) raises or
    lowers each recording towards -20 dBFS by 3 dB at most, limits it to full scale, and then divides it by its largest sample. So
    the first step only matters if it raises peaks beyond full scale, where they are limited; otherwise the peak is at full scale.

    Emilia-Pipe measures mono audio at 24 kHz, this function its input. The encoder limits samples beyond full scale.
    """
    if not levels.peak:
        return 1.0
    change = EMILIA_TARGET - 20 * math.log10(levels.rms)
    raised = 10 ** (min(max(change, -EMILIA_MAX_CHANGE), EMILIA_MAX_CHANGE) / 20)
    return max(raised, 1.0 / levels.peak)
