"""What an adapter is: it turns a window and a policy into questions for one model, and the model's answers into probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from podcast_assets.common.errors import Misconfigured
from podcast_assets.moderation.endpoint.adapters.answer import Answer
from podcast_assets.moderation.protocol import Label, ModerationPolicy, Window

Path = Literal["chat/completions", "completions"]


@dataclass(frozen=True)
class Question:
    """One request to a model."""

    labels: tuple[str, ...]
    """Slugs of the labels that the answer is about."""
    path: Path
    """Path below the URL of the endpoint."""
    body: Mapping[str, Any]
    """The request as JSON, without the model's name."""

    @classmethod
    def chat(
        cls,
        labels: tuple[str, ...],
        messages: Sequence[tuple[str, str]],
        max_tokens: int,
        *,
        logprobs: bool = True,
        **more: Any,
    ) -> "Question":
        """Make a request to a chat model, at temperature 0.

        Args:
            labels: slugs of the labels that the answer is about.
            messages: (role, content) of each message.
            max_tokens: tokens that the answer may have.
            logprobs: whether to ask for the log-probabilities of the five most probable tokens.
            more: other fields of the request.
        """
        body: dict[str, Any] = {
            "messages": [{"role": role, "content": content} for role, content in messages],
            "max_tokens": max_tokens,
            "temperature": 0,
            **({"logprobs": True, "top_logprobs": 5} if logprobs else {}),
            **more,
        }
        return cls(labels, "chat/completions", body)

    @property
    def text(self) -> str:
        """All text that the model reads, without what a chat template adds."""
        prompt = self.body.get("prompt")
        return str(prompt) if prompt is not None else "\n".join(m["content"] for m in self.body["messages"])

    @property
    def answer_tokens(self) -> int:
        """Tokens that the answer may have."""
        return int(self.body["max_tokens"])


class Adapter(BaseModel):
    """Base class of adapters. The fields are the options that a moderation policy may set in `engine_options`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    """Changes when the prompt or the reading of answers changes; then windows are judged again."""
    default_model: ClassVar[str | None] = None
    """Name of the model if none is set, as vLLM serves it; None if there is none."""
    context: ClassVar[int] = 8_192
    """Tokens of the model's context, of question and answer, if the server states no limit."""
    template_tokens: ClassVar[int] = 64
    """Upper bound of the tokens that the chat template adds."""

    def check(self, policy: ModerationPolicy) -> None:
        """Check that the adapter can judge every label of a policy.

        Raises:
            Misconfigured: it cannot; the message names the label.
        """

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """The questions that judge a window by every label of a policy."""
        raise NotImplementedError

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """The probability of each label of a question.

        Raises:
            Unreadable: the answer gives none; the message says why.
        """
        raise NotImplementedError


def make_adapter(kind: type[Adapter], policy: ModerationPolicy, options: Mapping[str, Any]) -> Adapter:
    """Make an adapter with the options of a policy, and check that it can judge the policy.

    Raises:
        Misconfigured: there is no such option, its value is invalid, or the adapter cannot judge one of the labels.
    """
    try:
        adapter = kind(**options)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(map(str, first["loc"])) or kind.name
        known = ", ".join(kind.model_fields) or "none"
        raise Misconfigured(
            f"moderation policy {policy.name}: engine option {option}: {first['msg']} (options of the adapter {kind.name}: {known})"
        ) from None
    adapter.check(policy)
    return adapter


def policy_text(policy: ModerationPolicy, label: Label | None = None) -> str:
    """Text of a policy; reduced to one label if one is given, by leaving out the sections of all others."""
    text = policy.text
    for other in policy.labels:
        if label is not None and other.slug != label.slug:
            text = text.replace(other.definition, "")
    lines = text.strip().splitlines()
    # what was left out leaves no gap
    return "\n".join(line for i, line in enumerate(lines) if line.strip() or (i and lines[i - 1].strip()))
