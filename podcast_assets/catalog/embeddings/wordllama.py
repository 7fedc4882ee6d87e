"""Embedder `wordllama`: the mean of static vectors of a text's tokens. English, tens of thousands of texts per second on one core.

The package wordllama (MIT, https://github.com/dleemiller/WordLlama) contains the table and the tokenizer. Its code is not used: it
sets up logging for the whole process and downloads the tokenizer that lies beside it. A test compares the vectors with its own.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from podcast_assets.catalog.embeddings.protocol import Vectors, to_unit_length
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.hashing import cached_sha256
from podcast_assets.engines.engine import Engine

_TABLE, _TOKENIZER = (
    "wordllama/weights/l2_supercat_256.safetensors",
    "wordllama/tokenizers/l2_supercat_tokenizer_config.json",
)
_SHA256 = {
    _TABLE: "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
    _TOKENIZER: "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
}


class WordLlama(Engine):
    """Settings of the embedder."""

    name: ClassVar[str] = "wordllama"
    packages: ClassVar[tuple[str, ...]] = ("wordllama", "tokenizers")
    extra: ClassVar[str | None] = "wordllama"

    def model_files(self) -> list[Path]:
        """Return the table and the tokenizer; empty where the package is not installed."""
        try:
            package = importlib.metadata.distribution("wordllama")
        except importlib.metadata.PackageNotFoundError:
            return []
        return [path for name in _SHA256 if (path := Path(str(package.locate_file(name)))).is_file()]

    def unavailable_reason(self) -> str | None:
        """Return what is missing or differs from the release that was tried."""
        files = self.model_files()
        if len(files) < len(_SHA256):
            return "wordllama is not installed, or not complete: pip install 'podcast-assets[wordllama]'"
        for path, expected in zip(files, _SHA256.values(), strict=True):
            if cached_sha256(path) != expected:
                return f"{path} does not match its checksum: pip install --force-reinstall --no-deps 'podcast-assets[wordllama]'"
        return None

    def load(self, device: str | None = None) -> "WordLlamaEmbedder":
        """Load the table, 32 MB.

        Raises:
            EngineUnavailable: the package is missing, or its files differ.
        """
        if reason := self.unavailable_reason():
            raise EngineUnavailable(reason)
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        table, tokenizer = self.model_files()
        return WordLlamaEmbedder(
            load_file(table)["embedding.weight"].astype(np.float32), Tokenizer.from_file(str(tokenizer))
        )


class WordLlamaEmbedder:
    """An `Embedder`."""

    def __init__(self, table: npt.NDArray[np.float32], tokenizer: Any) -> None:
        self._table = table
        self._tokenizer = tokenizer

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self._table.shape[1]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        lengths = np.array([len(e.ids) for e in encoded])
        sums = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if lengths.any():
            ids = np.concatenate([e.ids for e in encoded if e.ids]).astype(np.int64)
            starts = np.concatenate([[0], np.cumsum(lengths[lengths > 0])[:-1]])
            sums[lengths > 0] = np.add.reduceat(self._table[np.minimum(ids, len(self._table) - 1)], starts)
        return to_unit_length(sums)
