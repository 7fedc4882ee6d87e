"""DNSMOS: what listeners would say of the quality of speech, from 1 (bad) to 5 (excellent), without a clean reference.

P.835 rates speech, background and the whole (Reddy et al., "DNSMOS P.835", ICASSP 2022); P.808 rates the whole in another listening
test (Reddy et al., "DNSMOS", ICASSP 2021). The models and their loop over windows are those of the package speechmos (MIT), which
is not imported because it needs librosa. At a hop of 1 s the scores equal speechmos' own to 1e-3.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.types import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WINDOW_SECONDS = 9.01
WINDOW = int(WINDOW_SECONDS * SAMPLE_RATE)
"""Samples that the models look at."""
REFERENCE_HOP = 1.0
"""Seconds from one window to the next in the reference."""

# Map raw outputs to the scale of the listening tests, coefficients from the highest power down: speechmos 0.0.1.1
_SIG = np.poly1d([-0.08397278, 1.22083953, 0.0052439])
_BAK = np.poly1d([-0.13166888, 1.60915514, -0.39604546])
_OVRL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])

# The input of P.808: log-mel power, 10 ms apart
_FFT = 321
_HOP = 160
_MELS = 120
_FLOOR = 1e-10
_RANGE_DB = 80.0


@dataclass(frozen=True, slots=True)
class Mos:
    """Mean opinion scores, 1 to 5."""

    sig: float
    """P.835: the speech itself."""
    bak: float
    """P.835: the background."""
    ovrl: float
    """P.835: the whole."""
    p808: float
    """P.808: the whole."""


def model_paths() -> tuple[Path, Path] | None:
    """The ONNX files of P.835 and P.808; None where the package speechmos is not installed."""
    spec = find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "dnsmos_models"
    return folder / "sig_bak_ovr.onnx", folder / "model_v8.onnx"


class Dnsmos:
    """The loaded models."""

    def __init__(self, p835: Path, p808: Path, *, hop: float = REFERENCE_HOP, threads: int = 2) -> None:
        """Load the models.

        Args:
            p835: ONNX file of P.835.
            p808: ONNX file of P.808.
            hop: seconds from one window to the next; the scores of a segment are the mean over its windows.
            threads: of each model.
        """
        self._p835, self._p808 = _session(p835, threads), _session(p808, threads)
        self._hop = hop
        self._filters = mel_filters()

    def __call__(self, samples: Samples) -> Mos | None:
        """Scores of one segment, shape (n,) at 16 kHz; None where there is no sound at all."""
        if not samples.any():
            return None
        samples = repeated(samples)
        # One window at a time: on a CPU, batches are slower and take gigabytes
        raw = [self._window(samples[s : s + WINDOW]) for s in window_starts(len(samples), self._hop)]
        sig, bak, ovrl, p808 = np.array(raw, np.float64).T
        return Mos(_mean(_SIG(sig)), _mean(_BAK(bak)), _mean(_OVRL(ovrl)), _mean(p808))

    def _window(self, window: Samples) -> list[float]:
        sig, bak, ovrl = np.asarray(self._p835.run(None, {"input_1": window[None]})[0])[0]
        features = log_mel(window[:-_HOP], self._filters)
        p808 = np.asarray(self._p808.run(None, {"input_1": features[None]})[0])[0, 0]
        return [sig, bak, ovrl, p808]


def repeated(samples: Samples) -> Samples:
    """At least WINDOW samples: those of a shorter segment are doubled until it is long enough, as the reference does."""
    times = 1
    while len(samples) * times < WINDOW:
        times *= 2
    return np.tile(samples, times) if times > 1 else samples


def window_starts(samples: int, hop: float) -> list[int]:
    """First samples of the windows in a segment of so many (WINDOW or more) samples.

    The reference rounds the segment down to whole seconds first, and leaves out the windows that its own arithmetic makes a sample
    too short (those at 7 to 23 s and some beyond 100 s). Published scores have both, so at its hop both are kept.
    """
    last = int(samples // SAMPLE_RATE - WINDOW_SECONDS)
    starts = [i * hop for i in range(int(last / hop) + 1)]
    if hop == REFERENCE_HOP:
        starts = [s for s in starts if int((s + WINDOW_SECONDS) * SAMPLE_RATE) - int(s * SAMPLE_RATE) >= WINDOW]
    return [round(start * SAMPLE_RATE) for start in starts]


def mel_filters() -> npt.NDArray[np.float32]:
    """Slaney's mel filters from 0 to 8 kHz, shape (120, 161)."""
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FFT, n_mels=_MELS).astype(np.float32)


def log_mel(samples: Samples, filters: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Input of P.808, shape (frames, 120): decibels below the loudest cell, at most 80, moved by 40 and divided by 40.

    The frames are centred, with zeros beyond the ends, and weighted by a periodic Hann window.
    """
    padded = np.pad(samples, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    spectrum = np.fft.rfft(frames * hann, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ filters.T
    decibels = 10 * np.log10(np.maximum(power, _FLOOR))
    decibels = np.maximum(decibels - decibels.max(), -_RANGE_DB)
    return ((decibels + 40) / 40).astype(np.float32)


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean())


def _session(path: Path, threads: int) -> "InferenceSession":
    from onnxruntime import InferenceSession, SessionOptions  # pyright: ignore[reportAttributeAccessIssue]

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
