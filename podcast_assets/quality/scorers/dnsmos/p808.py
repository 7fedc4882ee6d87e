"""Network of DNSMOS P.808 and its input: a spectrum in decibels below its own loudest cell.

Each window has its own loudest cell, so windows share no features, only the spectrum.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.scorers.dnsmos.windows import FRAME, FRAMES, WindowRun
from podcast_assets.speech.types import SAMPLE_RATE, Samples

Matrix = npt.NDArray[np.float32]

_FFT = 321
_MELS = 120
_FLOOR = 1e-10
_RANGE_DB = 80.0


class P808:
    """DNSMOS P.808 with a loaded network."""

    def __init__(
        self, graph: Path, device: Device = "cpu", *, held: str | None = None, threads: int = 1, batch: int = 1
    ) -> None:
        """Load the network.

        Args:
            graph: ONNX file of P.808.
            device: device for the network.
            held: the GPU that is held for it, such as "cuda:1".
            threads: CPU threads.
            batch: windows per call; each takes 15 MB. On a CPU, 1 is the fastest.

        Raises:
            EngineUnavailable: the file does not load, or the device cannot be used.
        """
        self._session = onnx_sessions.open_session(graph, device, held=held, threads=threads, spin=False)
        self._filters = mel_filters()
        self._batch = batch

    def __call__(self, stretches: Sequence[WindowRun]) -> Matrix:
        """Compute the network's output for each window, in order: shape (windows,)."""
        features = [window for stretch in stretches for window in log_mels(stretch, self._filters)]
        batches = [np.stack(features[i : i + self._batch]) for i in range(0, len(features), self._batch)]
        return np.concatenate([self._session.run(None, {"input_1": batch})[0][:, 0] for batch in batches])


def mel_filters() -> Matrix:
    """Compute Slaney's mel filters from 0 to 8 kHz, shape (161, 120)."""
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FFT, n_mels=_MELS).T.astype(np.float32)


def log_mels(stretch: WindowRun, filters: Matrix) -> list[Matrix]:
    """Compute the network's input for each window, shape (900, 120): decibels below the loudest cell, at most 80, + 40, over 40.

    Frames are centred on every tenth millisecond, and weighted by a periodic Hann window. Those at the ends of a window reach
    beyond it into zeros, so they are computed per window; all others are computed per run.
    """
    power = _mel_power(_frame_view(stretch.samples), filters)
    used = [stretch.samples[b * FRAME : (b + FRAMES) * FRAME] for b in stretch.begins]
    ends = _mel_power(np.concatenate([_frame_view(window)[[0, -1]] for window in used]), filters)
    result = []
    for i, begin in enumerate(stretch.begins):
        window = power[begin : begin + FRAMES].copy()
        window[[0, -1]] = ends[2 * i : 2 * i + 2]
        decibels = 10 * np.log10(np.maximum(window, _FLOOR))
        decibels = np.maximum(decibels - decibels.max(), -_RANGE_DB)
        result.append(((decibels + 40) / 40).astype(np.float32))
    return result


def _frame_view(samples: Samples) -> Matrix:
    """Return every frame, shape (len(samples) / FRAME, _FFT), as a view of the samples with zeros on both sides."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(samples, _FFT // 2), _FFT)[::FRAME]


def _mel_power(frames: Matrix, filters: Matrix) -> Matrix:
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    spectrum = np.fft.rfft(frames * hann, axis=1)
    return (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ filters
