"""Scorer `dnsmos`: DNSMOS and the measures of the signal, on the CPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import PositiveFloat, PositiveInt

from podcast_assets.engines import Engine, EngineUnavailable, runtime
from podcast_assets.quality.dnsmos import REFERENCE_HOP, Dnsmos, model_paths
from podcast_assets.quality.protocol import Scores
from podcast_assets.quality.signal import signal_measures
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples


class DnsmosEngine(Engine):
    """Settings of the scorer."""

    name: ClassVar[str] = "dnsmos"
    packages: ClassVar[tuple[str, ...]] = ("speechmos", "onnxruntime", "pyloudnorm")

    hop: PositiveFloat = REFERENCE_HOP
    """Seconds between the windows of 9.01 s that DNSMOS looks at. 1 is the reference's; a longer one is faster on segments beyond
    10 s and on those that are repeated, up to 7 times at 9."""
    threads: PositiveInt = runtime(2)

    def model_files(self) -> list[Path]:
        """The ONNX files inside the package speechmos.

        Raises:
            EngineUnavailable: the package is missing.
        """
        paths = model_paths()
        if paths is None:
            raise EngineUnavailable(
                "the scorer dnsmos needs the models in the package speechmos: pip install speechmos"
            )
        return list(paths)

    def load(self, device: str | None = None) -> "SegmentScorer":
        """Load both models.

        Raises:
            EngineUnavailable: the package speechmos is missing.
        """
        p835, p808 = self.model_files()
        return SegmentScorer(Dnsmos(p835, p808, hop=self.hop, threads=self.threads))


class SegmentScorer:
    """Scores segments of an episode's working audio."""

    def __init__(self, dnsmos: Dnsmos) -> None:
        self._dnsmos = dnsmos

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Scores of each segment `(start, end)` in seconds, in the same order.

        `bandwidth_hz` is that of the working audio: at most 8,000, whatever the original had.
        """
        return [self._score(audio[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]) for start, end in segments]

    def _score(self, samples: Samples) -> Scores:
        mos = self._dnsmos(samples)
        return {
            "dnsmos_sig": mos.sig if mos else None,
            "dnsmos_bak": mos.bak if mos else None,
            "dnsmos_ovrl": mos.ovrl if mos else None,
            "dnsmos_p808": mos.p808 if mos else None,
            **signal_measures(samples, SAMPLE_RATE),
        }
