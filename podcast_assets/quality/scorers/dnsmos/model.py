"""DNSMOS: predicted mean opinion scores of speech quality, 1 (bad) to 5 (excellent), without a clean reference.

P.835 rates speech, background and overall quality (Reddy et al., "DNSMOS P.835", ICASSP 2022); P.808 rates overall quality by
another listening test (Reddy et al., "DNSMOS", ICASSP 2021). The networks and their windows are those of the package
speechmos (MIT), which is not imported because it needs librosa. At a hop of 1 s the scores equal speechmos' own to 1e-4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.scorers.dnsmos.p808 import P808
from podcast_assets.quality.scorers.dnsmos.p835 import P835
from podcast_assets.quality.scorers.dnsmos.windows import (
    REFERENCE_HOP,
    WindowRun,
    group_windows,
    repeat_short,
    window_starts,
)
from podcast_assets.speech.types import Samples

# Map raw outputs to the scale of the listening tests, coefficients from the highest power down: speechmos 0.0.1.1
_SIG = np.poly1d([-0.08397278, 1.22083953, 0.0052439])
_BAK = np.poly1d([-0.13166888, 1.60915514, -0.39604546])
_OVRL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])

_MAX_WINDOWS = 64
"""Maximum number of windows of a long segment in memory: their features take 40 MB."""


@dataclass(frozen=True, slots=True)
class Mos:
    """Mean opinion scores, 1 to 5."""

    sig: float
    """P.835: speech."""
    bak: float
    """P.835: background."""
    ovrl: float
    """P.835: overall."""
    p808: float
    """P.808: overall."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Batch sizes on the device; the scores do not depend on them."""

    together: int
    """Windows of several segments that are computed together; 1 computes each segment alone."""
    block: int
    """Frames per call of the first convolutions: 82 kB each."""
    batch: int
    """Windows per call of P.808 and of the layers after the shared convolutions: 15 MB each."""


CPU_LOAD = BatchLimits(together=1, block=300, batch=1)
"""Small batches that fit into the processor's cache; larger ones are slower."""
GPU_LOAD = BatchLimits(together=256, block=6000, batch=64)
"""About 2 GB of the GPU's memory."""


def model_paths() -> tuple[Path, Path] | None:
    """Return the ONNX files of P.835 and P.808; None if the package speechmos is not installed."""
    spec = find_spec("speechmos")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "dnsmos_models"
    return folder / "sig_bak_ovr.onnx", folder / "model_v8.onnx"


class Dnsmos:
    """DNSMOS with loaded models."""

    def __init__(
        self,
        p835: Path,
        p808: Path,
        *,
        hop: float = REFERENCE_HOP,
        device: Device = "cpu",
        held: str | None = None,
        threads: int = 2,
        load: BatchLimits | None = None,
    ) -> None:
        """Load the models.

        Args:
            p835: ONNX file of P.835.
            p808: ONNX file of P.808.
            hop: seconds from one window to the next; the scores of a segment are the mean over its windows. Where it is a multiple
                of 0.04 s, windows share most of their work.
            device: device for the networks.
            held: the GPU that is held for it, such as "cuda:1".
            threads: CPU threads of each model.
            load: batch sizes; None chooses them for the device.

        Raises:
            EngineUnavailable: a file is not the expected model, or the device cannot be used.
        """
        load = load or (GPU_LOAD if onnx_sessions.uses_gpu(device) else CPU_LOAD)
        on: dict[str, Any] = {"held": held, "threads": threads, "batch": load.batch}
        self._p835, self._p808 = P835(p835, device, block=load.block, **on), P808(p808, device, **on)
        self._hop, self._together = hop, load.together

    def __call__(self, segments: Iterable[Samples]) -> list[Mos | None]:
        """Score segments, each of shape (n,) at 16 kHz, in their order; None for digital silence."""
        counts: list[int] = []

        def windows() -> Iterator[WindowRun]:
            for samples in segments:
                if not samples.any():
                    counts.append(0)
                    continue
                enough = repeat_short(samples)
                starts = window_starts(len(enough), self._hop)
                counts.append(len(starts))
                yield from group_windows(enough, starts, _MAX_WINDOWS)

        raw = [self._score_group(group) for group in _group_runs(windows(), self._together)]
        each = np.split(np.concatenate(raw) if raw else np.empty((0, 4)), np.cumsum(counts)[:-1])
        return [_to_mos(values) if len(values) else None for values in each[: len(counts)]]

    def _score_group(self, group: list[WindowRun]) -> npt.NDArray[np.float64]:
        """Compute the networks' outputs for each window, shape (windows, 4)."""
        return np.column_stack([self._p835(group), self._p808(group)]).astype(np.float64)


def _group_runs(found: Iterable[WindowRun], together: int) -> Iterator[list[WindowRun]]:
    """Group runs until a group has at least `together` windows."""
    group: list[WindowRun] = []
    for stretch in found:
        group.append(stretch)
        if sum(len(s.begins) for s in group) >= together:
            yield group
            group = []
    if group:
        yield group


def _to_mos(raw: npt.NDArray[np.float64]) -> Mos:
    sig, bak, ovrl, p808 = raw.T
    return Mos(*(float(np.mean(v)) for v in (_SIG(sig), _BAK(bak), _OVRL(ovrl), p808)))
