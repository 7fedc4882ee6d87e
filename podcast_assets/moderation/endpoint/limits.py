"""The context of a served model, and whether a question fits into it."""

from dataclasses import dataclass
from typing import Any

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.client import Client


@dataclass(frozen=True)
class ServedModel:
    """What a server says of a model."""

    context: int | None
    """Tokens of question and answer; None if it does not say."""


def find_model(client: Client, model: str) -> ServedModel:
    """Ask a server for a model: llama.cpp and vLLM say how long its context is.

    Raises:
        EngineUnavailable: the server cannot be reached, or lists other models only.
    """
    listed = client.look_up(f"{client.urls.api}/models")
    entries = [m for m in listed.get("data") or [] if isinstance(m, dict)] if isinstance(listed, dict) else []
    names = {str(m.get("id")): m for m in entries}
    aliases = {str(alias): m for m in entries for alias in m.get("aliases") or []}
    entry: dict[str, Any] | None = names.get(model) or aliases.get(model)
    if names and entry is None:
        raise EngineUnavailable(
            f"{client.shown} does not serve the model {model!r}: set PODCAST_MODERATION_MODEL to one that it serves: "
            f"{', '.join(sorted(names)[:10])}"
        )
    limits = [(entry or {}).get("max_model_len"), ((entry or {}).get("meta") or {}).get("n_ctx")]
    if len(names) <= 1:  # what llama.cpp says of its only model
        props = client.look_up(f"{client.urls.root}/props")
        if isinstance(props, dict):
            limits.append((props.get("default_generation_settings") or {}).get("n_ctx"))
    known = [int(n) for n in limits if isinstance(n, int) and n > 0]
    return ServedModel(min(known, default=None))


@dataclass(frozen=True)
class Limit:
    """Decides whether questions fit, by a bound that needs no server, and by its tokenizer where the bound does not suffice."""

    client: Client
    model: str
    adapter: Adapter
    context: int
    """Tokens of question and answer."""

    def problem(self, question: Question) -> str | None:
        """Why a question does not fit; None if it does."""
        room = self.context - self.adapter.template_tokens - question.answer_tokens
        # no tokenizer of these models makes more tokens than bytes: they fall back to single bytes
        if len(question.text.encode("utf-8", "surrogatepass")) <= room:
            return None
        counted = self._count(question.text)
        if counted is not None and counted <= room:
            return None
        how = (
            f"has {counted} tokens" if counted is not None else "may have more tokens than fit (the server counts none)"
        )
        return f"too long: with the policy it {how}; the model's context of {self.context} leaves {max(room, 0)}"

    def _count(self, text: str) -> int | None:
        """Tokens of a text by the server's tokenizer; None if it has none for us."""
        asked = {
            "content": text,
            "prompt": text,
            "model": self.model,
            "add_special": True,
        }  # llama.cpp's and vLLM's names
        found = self.client.look_up(f"{self.client.urls.root}/tokenize", asked)
        if not isinstance(found, dict):
            return None
        count, tokens = found.get("count"), found.get("tokens")
        return count if isinstance(count, int) else len(tokens) if isinstance(tokens, list) else None
