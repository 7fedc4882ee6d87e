"""Scorer `dnsmos`: predicted mean opinion scores by DNSMOS."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import PositiveFloat, PositiveInt

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.onnx_sessions import Device
from podcast_assets.quality.protocol import Scores
from podcast_assets.quality.scorers.dnsmos.model import Dnsmos, model_paths
from podcast_assets.quality.scorers.dnsmos.windows import REFERENCE_HOP
from podcast_assets.speech.types import SAMPLE_RATE, Audio


class DnsmosEngine(Engine):
    """Settings of the scorer `dnsmos`."""

    name: ClassVar[str] = "dnsmos"
    packages: ClassVar[tuple[str, ...]] = ("speechmos", "onnxruntime", "onnx")

    hop: PositiveFloat = REFERENCE_HOP
    """Seconds between DNSMOS' windows of 9.01 s. The reference uses 1; longer ones are faster for segments beyond 10 s and for
    those that are repeated."""
    device: Device = runtime("auto")
    threads: PositiveInt = runtime(2)
    """CPU threads."""

    def devices(self) -> list[str]:
        """Return every GPU if the engine computes on one."""
        return onnx_sessions.devices(self.device)

    def model_files(self) -> list[Path]:
        """Return the ONNX files of the package speechmos.

        Raises:
            EngineUnavailable: the package is missing.
        """
        paths = model_paths()
        if paths is None:
            raise EngineUnavailable(
                "the scorer dnsmos needs the models in the package speechmos: pip install speechmos"
            )
        return list(paths)

    def load(self, device: str | None = None) -> "DnsmosScorer":
        """Load both models.

        Raises:
            EngineUnavailable: the package speechmos is missing, or the device cannot be used.
        """
        p835, p808 = self.model_files()
        return DnsmosScorer(
            Dnsmos(p835, p808, hop=self.hop, device=self.device, held=device, threads=self.threads),
            thread_safe=not onnx_sessions.uses_gpu(self.device),
        )


class DnsmosScorer:
    """Scores segments of an episode's working audio."""

    def __init__(self, dnsmos: Dnsmos, *, thread_safe: bool = False) -> None:
        """Take a loaded model.

        Args:
            dnsmos: the model.
            thread_safe: whether several threads may score at once: on a GPU, each would need the memory of a minibatch.
        """
        self._dnsmos, self.thread_safe = dnsmos, thread_safe

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Implement `Scorer.score`; None for digital silence."""
        cut = (audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] for start, end in segments)
        return [
            {
                "dnsmos_sig": mos.sig if mos else None,
                "dnsmos_bak": mos.bak if mos else None,
                "dnsmos_ovrl": mos.ovrl if mos else None,
                "dnsmos_p808": mos.p808 if mos else None,
            }
            for mos in self._dnsmos(cut)
        ]
