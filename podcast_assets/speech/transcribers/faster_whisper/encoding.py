"""Whisper's encoder over a minibatch of windows."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from faster_whisper.transcribe import WhisperModel

Features = npt.NDArray[np.float32]
"""Log-mel spectrograms, shape (windows, mels, frames), 100 frames a second."""


def encode(model: "WhisperModel", features: Features) -> Any:
    """Encode windows; returns the encoder's output as a `ctranslate2.StorageView`, shape (windows, positions, d).

    On a CPU the windows are encoded one by one, by all workers of the model at once. The output is the same, bit for bit, as is the
    time; and in memory are the attention matrices of one window per worker (54 MB with `tiny`, 108 MB with `small`).
    """
    if len(features) == 1 or not _computes_float32(model):
        return model.encode(features)
    with ThreadPoolExecutor(min(model.model.num_workers, len(features)), thread_name_prefix="encode") as pool:
        return _join(list(pool.map(lambda i: np.array(model.encode(features[i])), range(len(features)))))


def select(model: "WhisperModel", encoded: Any, features: Features, indices: Sequence[int]) -> Any:
    """Return the encoder's output for some of the windows, which on a GPU are encoded again: output there cannot be split.

    Args:
        model: the model.
        encoded: output for all windows.
        features: features of all windows.
        indices: the windows.
    """
    if not _computes_float32(model):
        return model.encode(features[indices])
    return _join([np.array(encoded)[i : i + 1] for i in indices])


def _computes_float32(model: "WhisperModel") -> bool:
    """Whether outputs can be read as numpy arrays, which know neither GPUs nor bfloat16."""
    return model.model.device == "cpu" and not model.model.compute_type.endswith("float16")


def _join(parts: Sequence[npt.NDArray[np.float32]]) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.concatenate(parts))
