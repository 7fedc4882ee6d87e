"""Combination of several scorers over the same segments."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SerializeAsAny

from podcast_assets.engines.engine import Engine, GpuUse, most_gpu_use
from podcast_assets.quality.policies.evidence import EVIDENCE
from podcast_assets.quality.protocol import SIGNAL_SCORES, Scorer, Scores
from podcast_assets.speech.types import Audio
from podcast_assets.store.schema import RAW_AUDIO

_RESERVED = frozenset({**RAW_AUDIO, **EVIDENCE}).difference(SIGNAL_SCORES)
"""Reserved columns: rules can name them, and scorers may not return them."""


class Scorers(Engine):
    """Engine that combines several scorers."""

    name: ClassVar[str] = "scorers"

    parts: tuple[SerializeAsAny[Engine], ...]

    def load(self, device: str | None = None) -> "LoadedScorers":
        """Load all scorers; those that use a GPU share the reserved one."""
        return LoadedScorers([(e.name, e.load(device if e.devices() else None)) for e in self.parts])

    def fetch(self) -> None:
        """Download the models of all scorers."""
        for engine in self.parts:
            engine.fetch()

    def devices(self) -> list[str]:
        """Return the devices of all scorers."""
        return list(dict.fromkeys(device for engine in self.parts for device in engine.devices()))

    def gpu_use(self) -> GpuUse:
        """Return the GPU use of the scorer that needs one most."""
        return most_gpu_use(self.parts)

    def model_files(self) -> list[Path]:
        """Return the model files of all scorers."""
        return [file for engine in self.parts for file in engine.model_files()]

    def identity(self) -> dict[str, Any]:
        """Return the identity of all scorers, independent of their order."""
        return {"engine": self.name, "parts": {e.name: e.identity() for e in self.parts}}

    def versions(self) -> dict[str, str]:
        """Return the package versions of all scorers."""
        return {name: version for engine in self.parts for name, version in engine.versions().items()}


class LoadedScorers:
    """Loaded scorers, by name."""

    def __init__(self, scorers: Sequence[tuple[str, Scorer]]) -> None:
        self._scorers = scorers

    @property
    def thread_safe(self) -> bool:
        """Whether all scorers are."""
        return all(getattr(scorer, "thread_safe", False) for _, scorer in self._scorers)

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Implement `Scorer.score`.

        Raises:
            ValueError: two scorers return a score of the same name, or one returns a reserved column, a NaN or infinite value, or a
                wrong number of results.
        """
        merged: list[Scores] = [{} for _ in segments]
        for name, scorer in self._scorers:
            found = scorer.score(audio, segments)
            if len(found) != len(segments):
                raise ValueError(f"the scorer {name} scored {len(found)} of {len(segments)} segments")
            for so_far, new in zip(merged, found, strict=True):
                if reserved := sorted(new.keys() & _RESERVED):
                    raise ValueError(f"the scorer {name} returns reserved columns: {', '.join(reserved)}")
                if invalid := sorted(k for k, v in new.items() if v is not None and not math.isfinite(v)):
                    raise ValueError(
                        f"the scorer {name} returned no number for {', '.join(invalid)}: it must return None for undefined scores"
                    )
                if twice := so_far.keys() & new.keys():
                    raise ValueError(
                        f"the scorer {name} returns scores that another scorer returns: {', '.join(sorted(twice))}"
                    )
                so_far.update(new)
        return merged
