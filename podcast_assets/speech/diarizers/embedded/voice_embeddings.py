"""Voice embeddings: the network CAM++ over windows of about two seconds in which one person speaks.

H. Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking", Interspeech 2023,
arXiv:2303.00332; the weights are those of 3D-Speaker for Chinese and English, with 192 dimensions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.local_speakers import FRAME, OFFSET, Stretch
from podcast_assets.speech.filter_bank import log_mels
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples

NETWORK = Path(__file__).with_name("voices.onnx")

SHORTEST = 0.3
"""Seconds below which a stretch has no embedding."""
_INT16 = 32_768.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VoiceWindows:
    """Windows with an embedding each, in order."""

    stretch: npt.NDArray[np.intp]
    """Index of the stretch, shape (n,)."""
    start: npt.NDArray[np.float64]
    """Seconds from the start of the stretch, shape (n,)."""
    end: npt.NDArray[np.float64]
    embedding: Floats
    """Of unit length, shape (n, 192)."""

    def __len__(self) -> int:
        return len(self.stretch)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """Length of each window."""
        return self.end - self.start

    def speech(self, stretches: Sequence[Stretch]) -> npt.NDArray[np.float64]:
        """Share of each window in the seconds of its stretch: windows overlap."""
        seconds = np.array([(stretch.end - stretch.start) * FRAME for stretch in stretches])
        return (seconds / np.maximum(np.bincount(self.stretch, minlength=len(stretches)), 1))[self.stretch]


def embed_stretches(audio: Audio, stretches: Sequence[Stretch], length: float, session: Any) -> VoiceWindows:
    """Compute the embeddings of all windows of the stretches.

    Args:
        audio: the episode.
        stretches: where one person speaks; those shorter than `SHORTEST` get none.
        length: seconds of a window; windows overlap by half.
        session: ONNX Runtime session of `NETWORK`.
    """
    rows: list[tuple[int, float, float]] = []
    vectors: list[Floats] = []
    for index, stretch in enumerate(stretches):
        begin, seconds = OFFSET + stretch.start * FRAME, (stretch.end - stretch.start) * FRAME
        for start, end in split_windows(seconds, length):
            samples = audio[round((begin + start) * SAMPLE_RATE) : round((begin + end) * SAMPLE_RATE)]
            if len(samples) < SHORTEST * SAMPLE_RATE:
                continue
            (vector,) = session.run(None, {"feats": features(samples)[None]})
            vectors.append(vector[0] / np.linalg.norm(vector[0]))
            rows.append((index, start, end))
    index, start, end = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    embedding = np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)
    return VoiceWindows(index.astype(np.intp), start.astype(np.float64), end.astype(np.float64), embedding)


def split_windows(seconds: float, length: float) -> list[tuple[float, float]]:
    """Split a stretch into windows that overlap by about half; one that is hardly longer than a window is one."""
    if seconds < SHORTEST:
        return []
    if seconds <= 1.4 * length:
        return [(0.0, seconds)]
    count = math.ceil((seconds - length) / (length / 2)) + 1
    hop = (seconds - length) / (count - 1)
    return [(i * hop, i * hop + length) for i in range(count)]


def features(samples: Samples) -> Floats:
    """Compute Kaldi's log mel filter banks, 25 ms frames every 10 ms, without their mean, shape (frames, 80)."""
    banks = log_mels(samples * _INT16)
    return banks - banks.mean(axis=0)
