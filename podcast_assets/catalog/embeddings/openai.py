"""Embedder `openai`: any server with OpenAI's endpoint `/embeddings`, hosted or one's own (vLLM, llama.cpp, TEI, Ollama)."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, PositiveInt

from podcast_assets.catalog.embeddings.protocol import Vectors, to_unit_length
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.environment import read_environment
from podcast_assets.engines.engine import Engine, runtime

_VARIABLES = "PODCAST_EMBEDDINGS"
_MOST_BYTES = 64 << 20
"""Most of an answer that is read: 64 vectors of 4,000 numbers as text have 6 MB."""


class OpenAiEmbeddings(Engine):
    """Settings of the embedder. The key is read from the environment when the model is loaded, so that no settings contain it."""

    name: ClassVar[str] = "openai"
    packages: ClassVar[tuple[str, ...]] = ()

    url: str | None = runtime(None)
    """URL of the server (PODCAST_EMBEDDINGS_URL). Another address of the same model makes no other vectors."""
    model: str | None = None
    dimensions: PositiveInt | None = Field(None, le=4_000)
    batch: PositiveInt = runtime(64)
    """Texts of one request."""
    allow_remote: bool = runtime(False)
    patience: float = runtime(120.0, gt=0)
    """Seconds for which a request is tried again."""

    def unavailable_reason(self) -> str | None:
        """Return which setting is missing, or that texts may not be sent."""
        missing = [f"{_VARIABLES}_{n.upper()}" for n, value in (("url", self.url), ("model", self.model)) if not value]
        if missing:
            return f"the embedder openai needs {' and '.join(missing)}"
        try:
            self.check_allowed()
        except EngineUnavailable as error:
            return str(error)
        return None

    def check_allowed(self) -> bool:
        """Check that texts may be sent to the server; return whether it is remote.

        Raises:
            EngineUnavailable: it is neither on this machine nor on a private network, and the settings do not allow that.
        """
        from podcast_assets.moderation.endpoint.remote import check_allowed

        return check_allowed(
            self.url or "",
            what="transcripts and queries",
            allowed=self.allow_remote,
            setting=f"{_VARIABLES}_ALLOW_REMOTE",
        )

    def load(self, device: str | None = None) -> "OpenAiEmbedder":
        """Connect to the server, and ask it for one vector, whose length is that of all.

        Raises:
            EngineUnavailable: a setting is missing, texts may not be sent there, or the server refuses or does not answer.
        """
        from podcast_assets.moderation.endpoint.client import Client

        if reason := self.unavailable_reason():
            raise EngineUnavailable(reason)
        assert self.url and self.model
        client = Client(
            self.url,
            key=read_environment(["embeddings_api_key"]).get("embeddings_api_key"),
            patience=self.patience,
            connections=1,
            direct=not self.check_allowed(),
            most_bytes=_MOST_BYTES,
            variables=_VARIABLES,
        )
        return OpenAiEmbedder(client, self.model, self.dimensions, self.batch)


class OpenAiEmbedder:
    """An `Embedder`."""

    def __init__(self, client: Any, model: str, dimensions: int | None, batch: int) -> None:
        self._client = client
        self._request: dict[str, Any] = {"model": model, "encoding_format": "base64"}
        if dimensions:
            self._request["dimensions"] = dimensions
        self._batch = batch
        self._dimensions = self._ask(["dimensions"]).shape[1]

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector per text; a text of nothing but spaces is not sent.

        Raises:
            EngineUnavailable: the server does not answer, or refuses, or its answer is not one vector per text.
        """
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        sent = [number for number, content in enumerate(texts) if content.strip()]
        for start in range(0, len(sent), self._batch):
            rows = sent[start : start + self._batch]
            answer = self._ask([texts[row] for row in rows])
            if answer.shape[1] != self._dimensions:
                raise EngineUnavailable(
                    f"{self._client.shown} gave vectors of {self._dimensions} and of {answer.shape[1]} numbers"
                )
            vectors[rows] = answer
        return to_unit_length(vectors)

    def _ask(self, texts: list[str]) -> Vectors:
        from podcast_assets.moderation.endpoint.adapters.answer import Unreadable
        from podcast_assets.moderation.endpoint.client import RequestFailed

        try:
            answer = self._client.complete("embeddings", {**self._request, "input": texts})
        except (Unreadable, RequestFailed) as error:
            raise EngineUnavailable(f"{self._client.shown} made no vectors: {error}") from error
        try:
            data = sorted(answer["data"], key=lambda item: item["index"])
            vectors = np.array([_read_vector(item["embedding"]) for item in data], dtype=np.float32)
            if (
                [item["index"] for item in data] != list(range(len(texts)))
                or vectors.ndim != 2
                or not np.isfinite(vectors).all()
            ):
                raise ValueError("not one vector per text")
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable(
                f"{self._client.shown} answers with something else than one vector per text"
            ) from error
        return vectors


def _read_vector(embedding: Any) -> Any:
    """A vector as OpenAI encodes it in base64, or the list of numbers that servers without that encoding send."""
    if not isinstance(embedding, str):
        return embedding
    try:
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    except binascii.Error as error:
        raise ValueError("not base64") from error
