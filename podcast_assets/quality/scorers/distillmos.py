"""Scorer `distillmos`: predicted mean opinion score by Distill-MOS, a second opinion on DNSMOS.

Stahl and Gamper 2025, "Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech Quality Assessment",
arXiv:2502.05356.
"""

import contextlib
import importlib
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines import gpus
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.engines.torchaudio_shim import import_torchaudio
from podcast_assets.quality.protocol import Scores
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_INSTALL = "pip install 'podcast-assets[distillmos]'"
_WEIGHTS = "weights/distill_mos_v7.pt"
_WINDOW = 122_880
"""Samples of the model's window, 7.68 s. The library scores longer audio as the mean of overlapping windows."""


class DistillMos(Engine):
    """Settings of the scorer `distillmos`, whose model is in its package."""

    name: ClassVar[str] = "distillmos"
    packages: ClassVar[tuple[str, ...]] = ("distillmos", "torch")
    extra: ClassVar[str | None] = "distillmos"

    device: Device = runtime("auto")
    batch_size: int = runtime(8, ge=1)
    """Segments of at most one window that are scored together."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to torch."""
    minimum_seconds: float = Field(default=0.5, gt=0.0)
    """Shorter segments have no score: the model would judge the silence that fills its window."""

    def devices(self) -> list[str]:
        """Return every GPU if the engine computes on one."""
        count = 0 if self.device == "cpu" else gpus.gpu_count()
        return [f"cuda:{i}" for i in range(count)]

    def model_files(self) -> list[Path]:
        """Return the weights in the package.

        Raises:
            EngineUnavailable: the package is missing.
        """
        spec = find_spec("distillmos")
        if spec is None or spec.origin is None:
            raise EngineUnavailable(f"the scorer distillmos is not installed: {_INSTALL}")
        return [Path(spec.origin).parent / _WEIGHTS]

    def load(self, device: str | None = None) -> "DistillMosScorer":
        """Load the model.

        Raises:
            EngineUnavailable: the package is missing, the model does not load, or the device cannot be used.
        """
        try:
            import torch

            import_torchaudio()  # distillmos imports it, to read files
            library = importlib.import_module("distillmos")
        except ImportError as error:
            raise EngineUnavailable(f"distillmos cannot be imported ({error}): {_INSTALL}") from error
        name = device or ("cuda:0" if self.device == "cuda" else "cpu")
        if self.threads:
            torch.set_num_threads(self.threads)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
                model = library.ConvTransformerSQAModel()
            return DistillMosScorer(model.eval().to(name), name, self.batch_size, self.minimum_seconds)
        except Exception as error:  # errors of torch have no common base
            raise EngineUnavailable(f"the model of distillmos cannot be loaded: {first_line(error)}") from error


class DistillMosScorer:
    """Scores segments of an episode's working audio."""

    def __init__(self, model: "Module", device: str, batch_size: int, minimum_seconds: float) -> None:
        self._model, self._device = model, device
        self._batch_size, self._shortest = batch_size, round(minimum_seconds * SAMPLE_RATE)

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Implement `Scorer.score`; None for segments that are too short, and for digital silence."""
        spans = [(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)) for start, end in segments]
        scores: list[float | None] = [None] * len(spans)
        batch: list[tuple[int, Samples]] = []
        for number, (start, end) in enumerate(spans):
            samples = audio[start:end]
            if len(samples) < self._shortest or not samples.any():
                continue
            if len(samples) > _WINDOW:
                scores[number] = self._predict(samples[np.newaxis])[0]
                continue
            batch.append((number, np.pad(samples, (0, _WINDOW - len(samples)))))
            if len(batch) == self._batch_size:
                self._score_batch(batch, scores)
        self._score_batch(batch, scores)
        return [{"distillmos": score} for score in scores]

    def _score_batch(self, batch: list[tuple[int, Samples]], scores: list[float | None]) -> None:
        if batch:
            predicted = self._predict(np.stack([samples for _, samples in batch]))
            for (number, _), score in zip(batch, predicted, strict=True):
                scores[number] = score
            batch.clear()

    def _predict(self, samples: Samples) -> list[float]:
        """Predict the scores, 1 to 5, of samples of shape (batch, n)."""
        import torch

        with torch.inference_mode():
            predicted: Tensor = self._model(torch.from_numpy(np.ascontiguousarray(samples)).to(self._device))
        return [round(float(score), 4) for score in predicted.flatten().tolist()]
