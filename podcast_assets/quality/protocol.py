"""What a scorer does."""

from collections.abc import Sequence
from typing import Protocol

from podcast_assets.speech.types import Audio

Scores = dict[str, float | None]
"""Names of columns of the table `quality_scores` and their values. None where a score does not exist; never NaN or infinite."""


class Scorer(Protocol):
    """Says how good segments sound."""

    def score(self, audio: Audio, segments: Sequence[tuple[float, float]]) -> list[Scores]:
        """Scores of each segment `(start, end)` in seconds, in the same order, with the same keys for all."""
        ...
