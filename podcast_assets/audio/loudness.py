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
"""dBFS: RMS over the whole recording, relative to full scale."""
EMILIA_MOST = 3.0
"""dB by which Emilia raises or lowers a recording at most."""


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
    what is left of the first step is the limiting, where it raised the peaks beyond full scale; else the peak comes to full scale.

    It measures mono audio at 24 kHz; here it is what goes in. Samples beyond full scale are for the encoder to limit.
    """
    if not levels.peak:
        return 1.0
    wanted = EMILIA_TARGET - 20 * math.log10(levels.rms)
    raised = 10 ** (min(max(wanted, -EMILIA_MOST), EMILIA_MOST) / 20)
    return max(raised, 1.0 / levels.peak)
