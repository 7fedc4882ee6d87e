"""The protocol of embedders: engines that turn texts into vectors."""

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.engines.engine import Engine

Vectors = npt.NDArray[np.float32]
"""One row per text, of unit length; zeros for a text in which the model finds nothing."""


class Embedder(Protocol):
    """Protocol of an embedder: texts of similar meaning get vectors of a large inner product.

    To add one, see docs/guides/add-an-engine.md.
    """

    @property
    def dimensions(self) -> int:
        """Length of the vectors; at most 4,000, which is what pgvector indexes."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text, in the same order."""
        ...


def to_unit_length(vectors: npt.NDArray[np.floating]) -> Vectors:
    """Scale rows to unit length; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32, copy=False)


def model_name(engine: Engine) -> str:
    """Name under which the vectors of an engine are kept: another model or other settings give another name.

    >>> import re; bool(re.fullmatch("[a-z0-9-]+-[0-9a-f]{12}", "wordllama-0123456789ab"))
    True
    """
    return f"{re.sub('[^a-z0-9]+', '-', engine.name.lower())}-{fingerprint(**engine.identity())[:12]}"
